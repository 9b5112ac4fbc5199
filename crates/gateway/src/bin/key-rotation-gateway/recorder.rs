//! The recorder of metrics, whose content `/metrics` shows.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::sleep;
use tower::BoxError;

use crate::log_writer::LogWriter;

/// Name of the counter of log lines that could not be written.
const LOST_LINES: &str = "tower_key_rotation_gateway_log_lines_lost_total";

/// Bounds of the buckets for times, in seconds: a refusal takes milliseconds, the head of a long response a minute.
const BUCKETS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// Interval at which recorded samples are moved into buckets (5 s). Until then they use memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder of the process. Times are recorded as histograms, which can be summed over several gateways;
/// summaries can't.
pub(crate) fn install() -> Result<PrometheusHandle, BoxError> {
    let times = Matcher::Suffix("_seconds".to_owned());
    let recorder = PrometheusBuilder::new().set_buckets_for_metric(times, &BUCKETS)?.build_recorder();
    let recorded = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    Ok(recorded)
}

/// Renders the recorded metrics, with the number of lost log lines.
pub(crate) fn render(recorded: &PrometheusHandle, log: &LogWriter) -> String {
    metrics::counter!(LOST_LINES).absolute(log.lost());
    recorded.run_upkeep();
    recorded.render()
}

/// Bounds the memory of the recorder while no request for `/metrics` arrives.
pub(crate) async fn upkeep(recorded: PrometheusHandle) {
    loop {
        sleep(UPKEEP).await;
        recorded.run_upkeep();
    }
}
