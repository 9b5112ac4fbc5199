//! Errors as problem responses (RFC 9457), with every attempt. None contains a secret.

use axum::{Json, response::IntoResponse, response::Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Serialize;
use serde_json::{Value, json};
use tower::BoxError;
use tower_key_rotation::{Attempt, Error};

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Problem {
    r#type: &'static str,
    status: u16,
    detail: String,
    /// Seconds after which it is worth trying again.
    retry_after: Option<u64>,
    attempts: Vec<Value>,
}

pub(crate) type Result<T, E = Problem> = std::result::Result<T, E>;

/// Reads a response to its end.
pub(crate) async fn json(response: Response) -> Result<Value> {
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.map_err(Problem::broken)?;
    serde_json::from_slice(&body).map_err(Problem::broken)
}

impl Problem {
    fn new(r#type: &'static str, detail: String, status: StatusCode) -> Self {
        // A refusal of our key says nothing about the caller's own.
        let status = if (401..=403).contains(&status.as_u16()) { 502 } else { status.as_u16() };
        Self { r#type, status, detail, retry_after: None, attempts: Vec::new() }
    }

    pub(crate) fn bad_request(detail: impl Into<BoxError>) -> Self {
        Self::new("/problems/bad-request", detail.into().to_string(), StatusCode::BAD_REQUEST)
    }

    /// A response that broke, or that can't be read.
    pub(crate) fn broken(error: impl Into<BoxError>) -> Self {
        Self::new("/problems/broken-response", error.into().to_string(), StatusCode::BAD_GATEWAY)
    }

    /// A provider's error response about the request.
    pub(crate) async fn refused(response: Response) -> Self {
        let (status, body) = (response.status(), json(response).await.unwrap_or_default());
        let detail = body["error"]["message"].as_str().unwrap_or("the provider refused the request");
        Self::new("/problems/refused", detail.to_owned(), status)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (mut r#type, mut wait, mut attempts) = ("/problems/failed", None, Vec::new());
        if let Error::AllProvidersFailed(all) = &error {
            let one = all.providers().len() == 1; // the request named a model
            r#type = if one { "/problems/all-keys-failed" } else { "/problems/all-providers-failed" };
            (wait, attempts) = (all.retry_after(), all.attempts().map(attempt).collect());
        }
        let retry_after = wait.map(|wait| wait.as_secs() + 1);
        Self { retry_after, attempts, ..Self::new(r#type, error.to_string(), error.into_response().status()) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let wait = self.retry_after.map(|seconds| [(RETRY_AFTER, seconds.to_string())]);
        (status, [(CONTENT_TYPE, "application/problem+json")], wait, Json(self)).into_response()
    }
}

fn attempt(it: &Attempt) -> Value {
    let (key, status) = (it.key.as_ref().map(ToString::to_string), it.status.map(|status| status.as_u16()));
    json!({ "provider": it.provider, "key": key, "status": status, "reason": it.fault.reason() })
}
