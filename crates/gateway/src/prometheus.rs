//! The page with metrics, in Prometheus' text format.

use axum::body::Body;
use http::{Response, StatusCode};

use crate::config::Config;
use crate::response;

/// Media type of the text format that every version of Prometheus reads.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns the recorded metrics, those of keys as of now.
///
/// Counting costs each request a little, so it begins with the first call of this function.
pub(crate) fn metrics(config: &Config, render: &(dyn Fn() -> String + Send + Sync)) -> Response<Body> {
    // All handles of a hub share its state: its pools and the chain count from now on.
    let _counting = config.events().clone().with_metrics();
    config.providers().iter().for_each(|provider| provider.pool().record_metrics());
    response::with_type(StatusCode::OK, TEXT, render())
}
