//! The response of an error, before it is built.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::body::ErrorBody;
use crate::classify::transport;
use crate::classify::transport::Nature;
use crate::error::failure::Failure;
use crate::error::last_response::LastResponse;

/// Read by the official SDKs of OpenAI and Anthropic before `retry-after`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Read by the official SDKs of OpenAI and Anthropic: whether they send the request again by themselves.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The longest wait that these SDKs believe (60 s). After a longer one they come back at once.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// A response that is yet to be made.
pub(crate) struct Summary {
    pub(super) failure: Failure,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
    /// The request may have been executed, although no complete response came.
    pub(super) may_have_run: bool,
}

/// A response of our own.
pub(super) struct Own {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
}

// === impl Summary ===

impl Summary {
    /// What an error of a layer that is not ours comes to.
    pub(crate) fn of_foreign(error: &tower::BoxError) -> Self {
        let (failure, may_have_run) = match transport::nature(error) {
            Nature::Shed => (Failure::Overloaded, false),
            Nature::Unsent => (Failure::Other("unreachable"), false),
            Nature::Timeout => (Failure::Timeout, true),
            Nature::Broken => (Failure::Other("service_failed"), true),
        };
        let message = format!("the request could not be served: {}", failure.code());
        Self { failure, message, retry_after: None, may_have_run }
    }

    /// A provider's response in its place, if there is one.
    pub(super) fn with(self, last: Option<LastResponse>) -> Response<ErrorBody> {
        let Some(last) = last else { return self.response() };
        let mut response = last.into_inner();
        self.set_headers(response.headers_mut());
        response
    }

    /// The same. A response about the key or the account that was used is not about the caller's: it becomes a 502,
    /// or gives way to the limit that other keys are under.
    pub(super) fn for_gateway(mut self, last: Option<LastResponse>) -> Response<ErrorBody> {
        let last = last.filter(|last| !is_about_key(last.status()) || !self.failure.is_limit());
        let is_about_key = last.as_ref().is_some_and(|last| is_about_key(last.status()));
        if is_about_key {
            self.failure = Failure::NoUsableKey;
        }
        let mut response = self.with(last);
        if is_about_key {
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response.headers_mut().remove(WWW_AUTHENTICATE);
        }
        response
    }

    pub(crate) fn response(&self) -> Response<ErrorBody> {
        let (status, code) = (self.failure.status(), self.failure.code());
        let mut response = Own { status, code }.response(&self.message);
        self.set_headers(response.headers_mut());
        response
    }

    fn set_headers(&self, headers: &mut HeaderMap) {
        headers.remove(RETRY_AFTER);
        headers.remove(RETRY_AFTER_MS);
        if let Some(wait) = self.retry_after {
            let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
            headers.insert(RETRY_AFTER_MS, HeaderValue::from(ms));
        }
        let is_soon = self.retry_after.map_or(self.failure != Failure::Quota, |wait| wait <= LONGEST_RETRY);
        if self.may_have_run || !is_soon || self.failure == Failure::NoUsableKey {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
    }
}

/// Whether a response with this status is about who calls the provider, rather than about what is asked of it.
const fn is_about_key(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN)
}

// === impl Own ===

impl Own {
    /// An error in the shape that OpenAI's clients read, as most others do.
    pub(super) fn response(self, message: &str) -> Response<ErrorBody> {
        let Self { status, code } = self;
        let error = json!({"message": message, "type": "key_rotation_error", "param": null, "code": code});
        let mut response = Response::new(ErrorBody::text(json!({"error": error}).to_string()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
