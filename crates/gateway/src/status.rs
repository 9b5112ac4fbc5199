//! The pages about the state of the gateway: health, keys, metrics.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::config::Config;
use crate::response;

/// Media type of the text format that every version of Prometheus reads.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns status 200 while the chain has a usable key, and 503 otherwise. Load balancers poll it, so it needs no
/// token.
pub(crate) fn health(config: &Config) -> Response<Body> {
    let usable = |name: &String| config.provider(name).map_or(0, |provider| provider.pool().usable(None));
    let usable: Vec<_> = config.chain().order().iter().map(usable).collect();
    let (status, word) = match usable.as_slice() {
        [] | [0, ..] if usable.iter().all(|keys| *keys == 0) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
        usable if usable.contains(&0) => (StatusCode::OK, "degraded"),
        _ => (StatusCode::OK, "ok"),
    };
    response::as_json(status, &json!({"status": word, "usable_keys": usable.iter().sum::<usize>()}))
}

/// Returns the state of every key and the number of lost log lines. Contains no secret.
pub(crate) fn keys(config: &Config, lost_lines: u64) -> Response<Body> {
    let pools: Vec<_> = config.providers().iter().map(|provider| provider.pool().snapshot()).collect();
    match serde_json::to_value(&pools) {
        Ok(Value::Array(pools)) => {
            let status = json!({
                "chain": config.chain().order(),
                "providers": pools,
                "gateway": {"log_lines_lost": lost_lines},
            });
            response::as_json(StatusCode::OK, &status)
        }
        _ => response::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "no_status",
            "the state of the keys can't be serialized",
        ),
    }
}

/// Returns the recorded metrics, those of keys as of now.
///
/// Counting costs each request a little, so it begins with the first call of this function.
pub(crate) fn metrics(config: &Config, render: &(dyn Fn() -> String + Send + Sync)) -> Response<Body> {
    // All handles of a hub share its state: its pools and the chain count from now on.
    let _counting = config.events().clone().with_metrics();
    config.providers().iter().for_each(|provider| provider.pool().record_metrics());
    response::with_type(StatusCode::OK, PROMETHEUS_TEXT, render())
}
