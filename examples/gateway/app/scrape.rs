//! What Prometheus asks for.

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tower_key_rotation::config::Config;

/// The version of the text format that every Prometheus reads.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Lines of the log that could not be written.
const LOST_LINES: &str = "tower_key_rotation_gateway_log_lines_lost_total";

/// In seconds: a refusal takes some milliseconds, the head of a long answer up to a minute.
const BUCKETS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// A recorder whose times are histograms, which unlike summaries can be added up over several gateways.
pub(crate) fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let times = Matcher::Suffix("_seconds".to_owned());
    Ok(PrometheusBuilder::new().set_buckets_for_metric(times, &BUCKETS)?.build_recorder())
}

/// All metrics, those of keys as of now. Counting costs each request a little, so it begins when somebody asks for
/// the first time: a gateway that nobody scrapes pays nothing.
pub(super) fn answer(recorded: &PrometheusHandle, config: &Config, lost_lines: u64) -> Response {
    // All handles of a hub are one: its pools and the chain are counted from now on.
    let _counting = config.events().clone().with_metrics();
    config.providers().iter().for_each(|provider| provider.pool().record_metrics());
    metrics::counter!(LOST_LINES).absolute(lost_lines);
    recorded.run_upkeep();
    let mut response = Response::new(Body::from(recorded.render()));
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}
