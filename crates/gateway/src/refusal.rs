//! Reasons for which the gateway itself refuses a request.

use std::borrow::Cow;
use std::error::Error;

use http::header::{ALLOW, HeaderName, RETRY_AFTER, UPGRADE};
use http::{HeaderValue, StatusCode};
use http_body_util::LengthLimitError;

use crate::spool::{NoRoom, StorageFailed};
use crate::stall::Stalled;

/// The reason why a request is not passed on, or its response is not.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    Body,
    Broken,
    Busy,
    /// A limit of the caller is used up, for this number of seconds.
    CallerLimit(u32),
    /// The caller has its share of the requests in flight.
    CallerShare,
    Commit,
    Encoded,
    Endpoint,
    Expired,
    Failed,
    Foreign,
    Method,
    Model,
    NoRoom,
    NoToken,
    NoUpgrade,
    NoUrl,
    ReadOnly,
    Stalled,
    Storage,
    Switched,
    TooLarge,
    TooLargeToKeep,
    UnreadableModel,
    WebSocket,
}

// === impl Refusal ===

impl Refusal {
    /// Returns the reason for an error of a request's body: it broke off, stalled, or was too long.
    pub(crate) fn of_body(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(part) = next {
            if part.is::<LengthLimitError>() {
                return Self::TooLarge;
            }
            if part.is::<StorageFailed>() {
                return Self::Storage;
            }
            if let Some(no_room) = part.downcast_ref() {
                return match no_room {
                    NoRoom::Now => Self::NoRoom,
                    NoRoom::Ever => Self::TooLargeToKeep,
                };
            }
            if part.is::<Stalled>() {
                return Self::Stalled;
            }
            next = part.source();
        }
        Self::Body
    }

    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Body | Self::Commit | Self::NoUrl => StatusCode::BAD_REQUEST,
            Self::Busy | Self::NoRoom | Self::Storage => StatusCode::SERVICE_UNAVAILABLE,
            Self::CallerLimit(_) | Self::CallerShare => StatusCode::TOO_MANY_REQUESTS,
            Self::Encoded | Self::UnreadableModel => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Endpoint | Self::Foreign | Self::Model => StatusCode::FORBIDDEN,
            Self::Method | Self::ReadOnly => StatusCode::METHOD_NOT_ALLOWED,
            Self::Expired | Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::Switched => StatusCode::BAD_GATEWAY,
            Self::TooLarge | Self::TooLargeToKeep => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoUpgrade | Self::WebSocket => StatusCode::UPGRADE_REQUIRED,
        }
    }

    /// Returns the code for programs.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Body => "request_body_failed",
            Self::Broken => "response_failed",
            Self::Busy => "gateway_busy",
            Self::CallerLimit(_) => "caller_limit",
            Self::CallerShare => "caller_share",
            Self::Commit => "invalid_commit",
            Self::Encoded => "compressed_request",
            Self::Endpoint => "endpoint_not_allowed",
            Self::Expired => "token_expired",
            Self::Failed => "internal_error",
            Self::Foreign => "foreign_origin",
            Self::Method | Self::ReadOnly => "method_not_allowed",
            Self::Model => "model_not_allowed",
            Self::NoRoom => "no_room_for_body",
            Self::NoToken => "invalid_api_key",
            Self::NoUrl => "invalid_url",
            Self::Stalled => "request_timeout",
            Self::Storage => "body_not_stored",
            Self::Switched => "bad_gateway",
            Self::NoUpgrade => "no_upgrade",
            Self::WebSocket => "no_websocket",
            Self::TooLarge | Self::TooLargeToKeep => "request_too_large",
            Self::UnreadableModel => "unreadable_model",
        }
    }

    /// Returns the message for people: the reason, and the next step. `max` is the maximum size of a request.
    pub(crate) fn message(self, max: usize) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Body => "the body of the request broke off: send the request again",
            Self::Broken => "the response of the provider broke off: send the request again",
            Self::Busy => "the gateway has reached its maximum of requests in flight: try again",
            Self::CallerLimit(_) => "the limit of this token is used up: wait as long as retry-after says",
            Self::CallerShare => {
                "this token has its share of the requests in flight: wait until one of its requests has ended"
            }
            Self::Commit => "x-commit must be complete, first-content or head",
            Self::Encoded => {
                "a limit is declared for models, and a compressed body hides the model: send the body uncompressed"
            }
            Self::Endpoint => "this token may not use this path: ask the operator of the gateway",
            Self::Expired => "this token has expired: ask the operator of the gateway for another",
            Self::Failed => "the gateway failed: its log has the place",
            Self::Foreign => {
                "the Origin or the Host of the request is not the gateway's: add the host to `hosts` in [server], add \
                 the origin to `origins` in [cors], or configure a token"
            }
            Self::Method => "the gateway does not pass on requests with this method",
            Self::Model => "this token may not use this model: ask the operator of the gateway",
            Self::UnreadableModel => {
                "this token is limited to some models, and the model of the request can't be read: send JSON, uncompressed"
            }
            Self::NoRoom => {
                "the bodies of other requests take all the room of the gateway: try again, or have the operator raise \
                 `max_body_memory` or `max_body_disk` in [server]"
            }
            Self::NoToken => {
                "the gateway's token is missing or wrong: send it where your SDK sends the API key"
            }
            Self::NoUrl => "the URL can't be passed on: send a path without `.` and `..`",
            Self::ReadOnly => "this path only serves GET and HEAD",
            Self::Stalled => "the body of the request stalled: send the request again",
            Self::Storage => {
                "the gateway can't keep a request of this size: its log has the cause, and a smaller request may pass"
            }
            Self::TooLargeToKeep => {
                "the request is larger than the gateway may keep on disk: have the operator raise `max_body_disk` in \
                 [server]"
            }
            Self::NoUpgrade => "this connection can't switch to WebSocket: send a GET over HTTP/1.1",
            Self::WebSocket => {
                "no provider of this gateway has a WebSocket at this path: use the same API over HTTP"
            }
            Self::Switched => "the provider switched the protocol, which the caller did not request",
            Self::TooLarge => {
                return Cow::Owned(format!(
                    "the request is larger than {max} bytes ({} MiB), the most that the gateway accepts: start the \
                     gateway with a larger --max-request",
                    max >> 20
                ));
            }
        })
    }

    /// Returns the header that belongs to the response.
    pub(crate) fn header(self) -> Option<(HeaderName, HeaderValue)> {
        Some(match self {
            Self::Busy | Self::CallerShare | Self::NoRoom => (RETRY_AFTER, HeaderValue::from_static("1")),
            Self::CallerLimit(seconds) => (RETRY_AFTER, HeaderValue::from(seconds)),
            Self::Method => (ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
            Self::NoUpgrade | Self::WebSocket => (UPGRADE, HeaderValue::from_static("HTTP/1.1")),
            Self::ReadOnly => (ALLOW, HeaderValue::from_static("GET, HEAD")),
            _ => return None,
        })
    }

    /// Returns whether the same request may succeed later. SDKs ignore a wait of more than a minute and come back at once.
    pub(crate) const fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Body
                | Self::Broken
                | Self::Busy
                | Self::CallerLimit(..=60)
                | Self::CallerShare
                | Self::Failed
                | Self::NoRoom
                | Self::Stalled
                | Self::Storage
                | Self::Switched
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_is_not_retried() {
        assert!(Refusal::CallerLimit(60).may_pass() && !Refusal::CallerLimit(61).may_pass());
    }
}
