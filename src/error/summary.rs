//! The summary of an error from which its HTTP response is built.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::body::ErrorBody;
use crate::classify::transport;
use crate::classify::transport::Nature;
use crate::error::failure::Failure;
use crate::error::last_response::LastResponse;
use crate::error::own_error::OwnError;

/// Wait in milliseconds. The official SDKs of OpenAI and Anthropic read it before `retry-after`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Tells the official SDKs of OpenAI and Anthropic whether to send the request again.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Longest `retry-after` that these SDKs honour (60 s). They ignore a longer one and retry at once.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// The parts of an error's response.
pub(crate) struct Summary {
    pub(super) failure: Failure,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
    /// Whether the request may have been executed, although no complete response came.
    pub(super) may_have_run: bool,
}

/// A JSON error response made by this crate.
pub(super) struct Own {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
}

// === impl Summary ===

impl Summary {
    /// Returns the summary of an error of a layer outside this crate.
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

    /// Returns the provider's response if there is one, otherwise a response made by this crate.
    pub(super) fn with(self, last: Option<LastResponse>) -> Response<ErrorBody> {
        let Some(last) = last else { return self.response() };
        let mut response = last.into_inner();
        self.set_headers(response.headers_mut());
        response
    }

    /// Returns the same response for a gateway's caller.
    ///
    /// A provider's response about the key or the account of the gateway does not concern the caller. It becomes
    /// a 502, or gives way to the limit that the other keys are under.
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
        let mut response = Own { status, code }.response(self.sentence());
        self.set_headers(response.headers_mut());
        response
    }

    /// Returns the message with the next step, and the time after which it is worth trying again.
    fn sentence(&self) -> String {
        let advice = self.failure.advice();
        match self.stated_wait() {
            Some(wait) => {
                format!("{}: {advice}; try again in {} s", self.message, wait.as_millis().div_ceil(1000))
            }
            None => format!("{}: {advice}", self.message),
        }
    }

    /// Returns the wait that a caller reads. The next probe of a key that was refused is none: programs that wait for it
    /// come back again and again, and until a person replaces the key nothing changes.
    fn stated_wait(&self) -> Option<Duration> {
        self.retry_after.filter(|_| self.failure != Failure::NoUsableKey)
    }

    fn set_headers(&self, headers: &mut HeaderMap) {
        headers.remove(RETRY_AFTER);
        headers.remove(RETRY_AFTER_MS);
        if let Some(wait) = self.stated_wait() {
            let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
            headers.insert(RETRY_AFTER_MS, HeaderValue::from(ms));
        }
        let waits_long = self.retry_after.is_some_and(|wait| wait > LONGEST_RETRY);
        let passes =
            self.failure.may_pass() || (self.failure == Failure::Quota && self.retry_after.is_some());
        if self.may_have_run || waits_long || !passes {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
    }
}

/// Returns whether a response with this status concerns the key or account, rather than the request.
const fn is_about_key(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN)
}

// === impl Own ===

impl Own {
    /// Builds the error in the shape that OpenAI's clients, and most others, read.
    pub(super) fn response(self, message: String) -> Response<ErrorBody> {
        let Self { status, code } = self;
        let error = json!({"message": message, "type": "key_rotation_error", "param": null, "code": code});
        let mut response = Response::new(ErrorBody::text(json!({"error": error}).to_string()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.extensions_mut().insert(OwnError::new(code, message));
        response
    }

    /// Builds the error of a request that will fail again.
    pub(super) fn final_response(self, message: String) -> Response<ErrorBody> {
        let mut response = self.response(message);
        response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        response
    }
}
