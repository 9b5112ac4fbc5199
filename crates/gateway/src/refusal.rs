//! Reasons for which the gateway itself refuses a request.

use std::error::Error;

use axum::body::Body;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::LengthLimitError;

use crate::response;
use crate::stall::Stalled;

/// The reason why a request is not passed on, or its response is not.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    Body,
    Busy,
    Commit,
    Encoded,
    Foreign,
    Method,
    NoToken,
    NoUrl,
    ReadOnly,
    Stalled,
    Switched,
    TooLarge,
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
            if part.is::<Stalled>() {
                return Self::Stalled;
            }
            next = part.source();
        }
        Self::Body
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Body | Self::Commit | Self::NoUrl => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::Method | Self::ReadOnly => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
            Self::Switched => StatusCode::BAD_GATEWAY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// Returns a code for programs and a message for people.
    const fn code_and_message(self) -> (&'static str, &'static str) {
        match self {
            Self::Body => ("request_body_failed", "the body of the request broke off"),
            Self::Busy => {
                ("gateway_busy", "the gateway has reached its maximum of requests in flight: try again")
            }
            Self::Commit => ("invalid_commit", "x-commit must be complete, first-content or head"),
            Self::Encoded => (
                "compressed_request",
                "a limit is declared for models, and a compressed body hides the model: send the body uncompressed",
            ),
            Self::Foreign => (
                "foreign_origin",
                "the Origin or the Host of the request is not the gateway's: add the host to `hosts` in [server], or \
                 configure a token",
            ),
            Self::Method => ("method_not_allowed", "the gateway does not pass on requests with this method"),
            Self::NoToken => (
                "invalid_api_key",
                "the gateway's token is missing or wrong: send it where your SDK sends the API key",
            ),
            Self::NoUrl => ("invalid_url", "the URL can't be passed on"),
            Self::ReadOnly => ("method_not_allowed", "this path only serves GET and HEAD"),
            Self::Stalled => ("request_timeout", "the body of the request stalled"),
            Self::Switched => {
                ("bad_gateway", "the provider switched the protocol, which the caller did not request")
            }
            Self::TooLarge => ("request_too_large", "the request is larger than the gateway accepts"),
        }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let (code, message) = self.code_and_message();
        let mut response = response::error(self.status(), code, message);
        let header = match self {
            Self::Busy => Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            Self::Method => {
                Some((ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")))
            }
            Self::ReadOnly => Some((ALLOW, HeaderValue::from_static("GET, HEAD"))),
            _ => None,
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
