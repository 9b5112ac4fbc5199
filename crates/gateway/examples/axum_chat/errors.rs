//! Errors as problem responses (RFC 9457), with every attempt. None contains a secret.

use axum::{Json, response::IntoResponse, response::Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::{Value, json};
use tower::BoxError;
use tower_key_rotation::{Attempt, Error};

/// The body of a problem response.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Problem {
    r#type: &'static str,
    status: u16,
    detail: String,
    /// Seconds after which it is worth trying again.
    retry_after: Option<u64>,
    attempts: Vec<Value>,
}

impl Problem {
    fn new(status: StatusCode, r#type: &'static str, detail: String) -> Self {
        // A refusal of our key says nothing about the caller's own.
        let status = if (401..=403).contains(&status.as_u16()) { 502 } else { status.as_u16() };
        Self { r#type, status, detail, retry_after: None, attempts: Vec::new() }
    }

    pub(crate) fn bad_request(detail: impl Into<BoxError>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "/problems/bad-request", detail.into().to_string())
    }

    /// A response that broke, or that can't be read.
    pub(crate) fn broken(error: impl Into<BoxError>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "/problems/broken-response", error.into().to_string())
    }

    /// A provider's error response about the request.
    pub(crate) async fn refused(response: http::Response<crate::providers::Body>) -> Self {
        let status = response.status();
        let body = response.into_body().collect().await.map(|it| it.to_bytes().to_vec()).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = body["error"]["message"].as_str().unwrap_or("the provider refused the request");
        Self::new(status, "/problems/refused", detail.to_owned())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let (r#type, wait, attempts) = match &error {
            Error::AllKeysFailed(all) => {
                ("/problems/all-keys-failed", all.retry_after(), all.attempts().iter().map(attempt).collect())
            }
            Error::AllProvidersFailed(all) => {
                let one = all.providers().len() == 1; // the request named a model
                let r#type = if one { "/problems/all-keys-failed" } else { "/problems/all-providers-failed" };
                (r#type, all.retry_after(), all.attempts().map(attempt).collect())
            }
            _ => ("/problems/failed", None, Vec::new()),
        };
        let retry_after = wait.map(|wait| wait.as_secs() + 1);
        Self { retry_after, attempts, ..Self::new(error.into_response().status(), r#type, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let wait = self.retry_after.map(HeaderValue::from);
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.headers_mut().extend(wait.map(|wait| (RETRY_AFTER, wait)));
        response
    }
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "provider": attempt.provider,
        "key": attempt.key.as_ref().map(ToString::to_string),
        "status": attempt.status.map(|status| status.as_u16()),
        "reason": attempt.fault.reason(),
        "cooldown_seconds": attempt.cooldown.map(|wait| wait.as_secs_f64()),
    })
}
