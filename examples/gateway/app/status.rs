//! What can be seen of the keys.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use tower_key_rotation::config::Config;

use super::answer;

/// Whether a request down the chain has a chance: 200 with a usable key, 503 without. For load balancers,
/// and therefore open to all.
pub(super) fn health(config: &Config) -> Response {
    let usable = |name: &String| config.provider(name).map_or(0, |provider| provider.pool().usable(None));
    let usable: Vec<_> = config.chain().order().iter().map(usable).collect();
    let (status, word) = match usable.as_slice() {
        [] | [0, ..] if usable.iter().all(|keys| *keys == 0) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
        usable if usable.contains(&0) => (StatusCode::OK, "degraded"),
        _ => (StatusCode::OK, "ok"),
    };
    answer::as_json(status, &json!({"status": word, "usable_keys": usable.iter().sum::<usize>()}))
}

/// The state of every key, and how many lines of the log were lost; there is nothing secret in it.
pub(super) fn keys(config: &Config, lost_lines: u64) -> Response {
    let pools: Vec<_> = config.providers().iter().map(|provider| provider.pool().snapshot()).collect();
    match serde_json::to_value(&pools) {
        Ok(Value::Array(pools)) => {
            let status = json!({
                "chain": config.chain().order(),
                "providers": pools,
                "gateway": {"log_lines_lost": lost_lines},
            });
            answer::as_json(StatusCode::OK, &status)
        }
        _ => answer::error(StatusCode::INTERNAL_SERVER_ERROR, "no_status", "the state can't be written"),
    }
}
