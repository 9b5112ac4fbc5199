//! The response that says what an error says.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::body::ErrorBody;
use crate::classify::Reason;
use crate::error::{AllKeysFailed, Error, LastResponse, StopReason};
use crate::exchange::transport;
use crate::exchange::transport::Nature;
use crate::fallback::AllProvidersFailed;

/// Read by the official SDKs of OpenAI and Anthropic before `retry-after`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Read by the official SDKs of OpenAI and Anthropic: whether they send the request again by themselves.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The longest wait that these SDKs believe (60 s). After a longer one they come back at once.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// What a failure comes to for a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The deadline passed.
    Deadline,
    /// A provider did not respond in time.
    Timeout,
    /// Limits that clear by themselves.
    RateLimit,
    /// Limits that clear with a payment, or after long.
    Quota,
    /// Keys that are invalid, not allowed or disabled.
    NoUsableKey,
    /// A provider, or a layer inside, has no capacity.
    Overloaded,
    /// Limits hang on the model, and the request does not say for sure which it is.
    UnreadableModel,
    /// No provider's URL can be made of the request.
    Unroutable,
    /// Anything else, by its code.
    Other(&'static str),
}

/// A response that is yet to be made.
pub(crate) struct Summary {
    failure: Failure,
    message: String,
    retry_after: Option<Duration>,
    /// The request may have been executed, although no complete response came.
    may_have_run: bool,
}

// === impl Failure ===

impl Failure {
    /// By why no more keys were tried, and the reason that counts.
    pub(crate) fn of_keys(
        stop_reason: StopReason,
        exhausted_by: Option<Reason>,
        last: Option<Reason>,
    ) -> Self {
        match (stop_reason, exhausted_by.or(last)) {
            (StopReason::Deadline, _) => Self::Deadline,
            (StopReason::UnreadableModel, _) => Self::UnreadableModel,
            (StopReason::Exhausted, None) => Self::RateLimit,
            (_, Some(reason)) => Self::of(reason).unwrap_or(Self::Other(stop_reason.as_str())),
            (_, None) => Self::Other(stop_reason.as_str()),
        }
    }

    /// By the reason of a fault; `None` if it has no code of its own.
    pub(crate) const fn of(reason: Reason) -> Option<Self> {
        match reason {
            Reason::Forbidden | Reason::InvalidKey => Some(Self::NoUsableKey),
            Reason::Overloaded => Some(Self::Overloaded),
            Reason::QuotaExceeded => Some(Self::Quota),
            Reason::RateLimited => Some(Self::RateLimit),
            Reason::Timeout => Some(Self::Timeout),
            Reason::Blocked | Reason::ServerError | Reason::Truncated | Reason::Unreachable => None,
        }
    }

    pub(crate) const fn is_limit(self) -> bool {
        matches!(self, Self::RateLimit | Self::Quota)
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Deadline | Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::RateLimit | Self::Quota => StatusCode::TOO_MANY_REQUESTS,
            Self::UnreadableModel => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unroutable => StatusCode::BAD_REQUEST,
            Self::NoUsableKey | Self::Overloaded | Self::Other(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Timeout => "timeout",
            Self::RateLimit => "rate_limit_exceeded",
            Self::Quota => "insufficient_quota",
            Self::NoUsableKey => "no_usable_key",
            Self::Overloaded => "overloaded",
            Self::UnreadableModel => "unreadable_model",
            Self::Unroutable => "unroutable",
            Self::Other(code) => code,
        }
    }
}

// === impl Error ===

impl Error {
    /// The response that says this: the provider's last response if that is an error by its own status, else a
    /// JSON error in OpenAI's shape.
    ///
    /// | error | status | code |
    /// |---|---|---|
    /// | the deadline passed | 504 | `deadline` |
    /// | no response in time | 504 | `timeout` |
    /// | all keys are limited | 429 | `rate_limit_exceeded` |
    /// | all keys are out of quota or credit | 429 | `insufficient_quota` |
    /// | all keys are invalid, not allowed or disabled | 503 | `no_usable_key` |
    /// | no capacity, or a layer inside shed the request | 503 | `overloaded` |
    /// | limits are declared for models, and the model can't be read | 415 | `unreadable_model` |
    /// | the request's path leaves the base of each route, or it names no model to rename | 400 | `unroutable` |
    /// | any other fault of one provider | 503 | the name of [`StopReason`](crate::StopReason) |
    /// | several providers failed in different ways | 503 | `all_providers_failed` |
    /// | [`Body`](Self::Body): the request's own body failed | 400 | `request_body_failed` |
    /// | [`UnknownLink`](Self::UnknownLink) | 400 | `unknown_provider` |
    /// | [`Stamp`](Self::Stamp): the key may not be sent to that URL | 500 | `foreign_origin` |
    /// | [`Service`](Self::Service): the client is not ready | 503 | `not_ready` |
    ///
    /// A provider's response is not used if the deadline passed, nor if several providers responded or another one
    /// was silent. `retry-after` and `retry-after-ms` hold the time until the pool or the chain can serve the
    /// request, not that of the key which was refused last.
    ///
    /// `x-should-retry: false` tells the official SDKs of OpenAI and Anthropic not to send the request again by
    /// themselves: where it may have been executed, and where coming back is of no use (keys that are invalid or
    /// without credit, waits of more than 60 s).
    pub fn into_response(self) -> Response<ErrorBody> {
        match self {
            Self::AllKeysFailed(failed) => failed.into_response(),
            Self::AllProvidersFailed(failed) => failed.into_response(),
            other => other.to_response(),
        }
    }

    /// The same, without the provider's last response.
    pub(crate) fn to_response(&self) -> Response<ErrorBody> {
        let own = |status, code| Own { status, code }.response(&self.to_string());
        match self {
            Self::AllKeysFailed(failed) => failed.summary().response(),
            Self::AllProvidersFailed(failed) => failed.summary().response(),
            Self::Body(_) => own(StatusCode::BAD_REQUEST, "request_body_failed"),
            Self::Stamp(_) => own(StatusCode::INTERNAL_SERVER_ERROR, "foreign_origin"),
            Self::UnknownLink(_) => own(StatusCode::BAD_REQUEST, "unknown_provider"),
            Self::Service(error) if transport::nature(error) == Nature::Shed => {
                own(StatusCode::SERVICE_UNAVAILABLE, "overloaded")
            }
            Self::Service(_) => own(StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
        }
    }

    /// The same as [`into_response`](Self::into_response), but a provider's refusal of the key is an error of this
    /// service and not of its caller.
    pub(crate) fn into_gateway_response(self) -> Response<ErrorBody> {
        match self {
            Self::AllKeysFailed(mut failed) => failed.summary().for_gateway(failed.take_response()),
            Self::AllProvidersFailed(mut failed) => failed.summary().for_gateway(failed.take_only_response()),
            other => other.to_response(),
        }
    }
}

impl AllKeysFailed {
    /// The response that says this; see [`Error::into_response`].
    pub fn into_response(mut self) -> Response<ErrorBody> {
        let summary = self.summary();
        summary.with(self.take_response())
    }

    fn summary(&self) -> Summary {
        let failure = Failure::of_keys(self.stop_reason, self.exhausted_by, self.last_reason());
        let mut message =
            format!("no key of {} could serve the request: {}", self.provider(), self.stop_reason);
        if let Some(reason) = self.exhausted_by.or_else(|| self.last_reason()) {
            message = format!("{message} ({reason})");
        }
        let may_have_run = self.may_have_run();
        Summary { failure, message, retry_after: self.retry_after(), may_have_run }
    }

    /// A response that came before the deadline does not speak for a request that ran into it.
    fn take_response(&mut self) -> Option<LastResponse> {
        self.last_response.take().filter(|_| self.stop_reason != StopReason::Deadline)
    }
}

impl AllProvidersFailed {
    /// The response that says this; see [`Error::into_response`].
    pub fn into_response(mut self) -> Response<ErrorBody> {
        let summary = self.summary();
        summary.with(self.take_only_response())
    }

    fn summary(&self) -> Summary {
        let message = format!("no provider could serve the request: {}", self.reasons());
        let may_have_run = self.may_have_run();
        Summary { failure: self.failure(), message, retry_after: self.retry_after(), may_have_run }
    }
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
    fn with(self, last: Option<LastResponse>) -> Response<ErrorBody> {
        let Some(last) = last else { return self.response() };
        let mut response = last.into_inner();
        self.set_headers(response.headers_mut());
        response
    }

    /// The same. A response about the key or the account that was used is not about the caller's: it becomes a 502,
    /// or gives way to the limit that other keys are under.
    fn for_gateway(mut self, last: Option<LastResponse>) -> Response<ErrorBody> {
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

/// A response of our own.
struct Own {
    status: StatusCode,
    code: &'static str,
}

impl Own {
    /// An error in the shape that OpenAI's clients read, as most others do.
    fn response(self, message: &str) -> Response<ErrorBody> {
        let Self { status, code } = self;
        let error = json!({"message": message, "type": "key_rotation_error", "param": null, "code": code});
        let mut response = Response::new(ErrorBody::text(json!({"error": error}).to_string()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
