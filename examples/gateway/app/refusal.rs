//! What the gateway itself has against a request.

use std::error::Error;

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use http_body_util::LengthLimitError;

use super::answer;
use super::pace::Stalled;

/// Why a request is not passed on, or its response not.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    Body,
    Busy,
    Commit,
    Encoded,
    Foreign,
    Method,
    NoToken,
    NoUrl,
    Stalled,
    Switched,
    TooLarge,
}

// === impl Refusal ===

impl Refusal {
    /// What the failure of a request's body means: it broke off, stalled, or was longer than it may be.
    pub(super) fn of_body(error: &(dyn Error + 'static)) -> Self {
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
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
            Self::Switched => StatusCode::BAD_GATEWAY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// A code for programs, and a sentence for people.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Body => ("request_body_failed", "the request's body did not arrive whole"),
            Self::Busy => ("gateway_busy", "the gateway has as many requests in flight as it takes"),
            Self::Commit => ("invalid_commit", "x-commit is one of complete, first-content, head"),
            Self::Encoded => (
                "compressed_request",
                "a limit is declared for models, and the model can't be read in a compressed body: send it plain",
            ),
            Self::Foreign => (
                "foreign_origin",
                "the Origin or the Host of the request is not the gateway's: add the host to `hosts` in [server], or \
                 configure a token",
            ),
            Self::Method => ("method_not_allowed", "the gateway passes on no request of this method"),
            Self::NoToken => (
                "invalid_api_key",
                "the gateway's token is missing or wrong: send it where your SDK sends the API key",
            ),
            Self::NoUrl => ("invalid_url", "the URL can't be passed on"),
            Self::Stalled => ("request_timeout", "the request's body stalled"),
            Self::Switched => ("bad_gateway", "the provider changed the protocol, which was not asked for"),
            Self::TooLarge => ("request_too_large", "the request is longer than the gateway takes"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, message) = self.words();
        let mut response = answer::error(self.status(), code, message);
        let header = match self {
            Self::Busy => Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            Self::Method => {
                Some((ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")))
            }
            _ => None,
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
