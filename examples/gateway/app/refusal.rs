//! What the gateway itself has against a request.

use std::error::Error;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http_body_util::LengthLimitError;

use super::answer;

/// Why a request is not passed on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    Body,
    NoToken,
    NoUrl,
    TooLarge,
}

// === impl Refusal ===

impl Refusal {
    /// What the failure of a request's body means: it broke off, or was longer than it may be.
    pub(super) fn of_body(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(part) = next {
            if part.is::<LengthLimitError>() {
                return Self::TooLarge;
            }
            next = part.source();
        }
        Self::Body
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::Body => {
                (StatusCode::BAD_REQUEST, "request_body_failed", "the request's body did not arrive whole")
            }
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "invalid_api_key",
                "the gateway's token is missing or wrong: send it where your SDK sends the API key",
            ),
            Self::NoUrl => (StatusCode::BAD_REQUEST, "invalid_url", "the URL can't be passed on"),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "request_too_large",
                "the request is longer than the gateway takes",
            ),
        };
        answer::error(status, code, message)
    }
}
