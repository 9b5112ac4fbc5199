//! Responses of the status paths.

use axum::body::Body;
use http::header::{ALLOW, CACHE_CONTROL};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::response;

/// Returns a document that no cache keeps.
pub(super) fn document(status: StatusCode, document: &impl Serialize) -> Response<Body> {
    let mut response = match serde_json::to_value(document) {
        Ok(value) => response::as_json(status, &value),
        Err(_) => {
            response::error(StatusCode::INTERNAL_SERVER_ERROR, "no_status", "the status can't be serialized")
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Returns the response for a provider that has no pool.
pub(super) fn unknown_provider() -> Response<Body> {
    let message = "no provider has this name: see /status for the names";
    response::error(StatusCode::NOT_FOUND, "unknown_provider", message)
}

/// Returns the response for a method that a path does not serve.
pub(super) fn only(methods: &'static str, message: &str) -> Response<Body> {
    let mut response = response::error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}
