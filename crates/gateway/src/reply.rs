//! The gateway's own responses to one request.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tower_key_rotation::OwnError;

use crate::refusal::Refusal;
use crate::response;
use crate::shape::{ErrorText, Shape};

/// Tells the official SDKs of OpenAI and Anthropic whether to send the request again.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Headers with the id of a request, as OpenAI and as Anthropic name them.
const REQUEST_ID: [HeaderName; 2] =
    [HeaderName::from_static("x-request-id"), HeaderName::from_static("request-id")];

/// Code of the layers' error for keys that are all invalid, not allowed or disabled.
const NO_USABLE_KEY: &str = "no_usable_key";

/// The facts about a request that the gateway's own responses need.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) shape: Shape,
    /// Maximum size of a request body in bytes.
    pub(crate) max_request: usize,
}

// === impl Reply ===

impl Reply {
    /// Returns the response of a request that is not passed on.
    pub(crate) fn refuse(self, refusal: Refusal) -> Response<Body> {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = refusal.header() {
            headers.insert(name, value);
        }
        if !refusal.may_pass() {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        let message = refusal.message(self.max_request);
        self.error(refusal.status(), refusal.code(), &message, headers)
    }

    /// Returns an error that the same request will get again.
    pub(crate) fn fail(self, status: StatusCode, code: &str, message: &str) -> Response<Body> {
        let headers = [(SHOULD_RETRY, HeaderValue::from_static("false"))];
        self.error(status, code, message, headers.into_iter().collect())
    }

    /// Returns a response that reports an error of the layers, in the shape for this caller. Keys that are all invalid are
    /// a 403: coding agents repeat a 5xx for minutes and show no reason, whatever the headers say.
    pub(crate) fn failed<B>(self, response: &Response<B>, own: &OwnError) -> Response<Body> {
        let is_final = own.code() == NO_USABLE_KEY;
        let status = if is_final { StatusCode::FORBIDDEN } else { response.status() };
        self.error(status, own.code(), own.message(), response.headers().clone())
    }

    fn error(self, status: StatusCode, code: &str, message: &str, mut headers: HeaderMap) -> Response<Body> {
        let request_id = request_id();
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let text = ErrorText { status, code, message, request_id: &request_id, retry_after };
        let body = self.shape.error(&text);
        tracing::debug!(target: "gateway", request_id, status = status.as_u16(), code, message, "own response");
        if let Ok(id) = HeaderValue::try_from(request_id) {
            REQUEST_ID.into_iter().for_each(|name| drop(headers.insert(name, id.clone())));
        }
        headers.remove(CONTENT_TYPE);
        let mut response = response::as_json(status, &body);
        response.headers_mut().extend(headers);
        response
    }
}

/// Returns a new id: `req_` and 24 hexadecimal digits.
fn request_id() -> String {
    format!("req_{:024x}", fastrand::u128(..) >> 32)
}
