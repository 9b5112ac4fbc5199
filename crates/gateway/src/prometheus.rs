//! The page with metrics, in Prometheus' text format.

use axum::body::Body;
use http::{Response, StatusCode};
use metrics::gauge;

use crate::config::Config;
use crate::history::{BreakerState, Recorder};
use crate::response;

/// Media type of the text format that every version of Prometheus reads.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The library's gauge of breakers, which it sets when one changes.
const BREAKER: &str = "tower_key_rotation_breaker_state";

/// Returns the recorded metrics, those of keys and breakers as of now.
///
/// Counting costs each request a little, so it begins with the first call of this function.
pub(crate) fn metrics(
    config: &Config,
    recorder: &Recorder,
    render: &(dyn Fn() -> String + Send + Sync),
) -> Response<Body> {
    // All handles of a hub share its state: its pools and the chain count from now on.
    let _counting = config.events().clone().with_metrics();
    config.providers().iter().for_each(|provider| provider.pool().record_metrics());
    // A breaker may have opened before counting began.
    for provider in config.chain().order() {
        let state = match recorder.breaker(provider).state {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        };
        gauge!(BREAKER, "provider" => provider.clone()).set(state);
    }
    response::with_type(StatusCode::OK, TEXT, render())
}
