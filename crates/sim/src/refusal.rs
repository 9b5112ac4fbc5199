//! What a provider can say no to, before it is put into one provider's words.

use std::borrow::Cow;
use std::time::Duration;

/// Which limit a call ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dimension {
    /// Requests in a short time.
    Requests,
    /// Tokens in a short time.
    Tokens,
    /// Requests in a day.
    Day,
}

/// An error that the provider itself reports; each dialect has its own status and words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Too much in too little time.
    RateLimited {
        /// The limit that was reached.
        dimension: Dimension,
        /// The wait that is stated; `None` leaves it out where the dialect can.
        retry_after: Option<Duration>,
    },
    /// A request that the limit could not hold even if it were full; no wait helps.
    LargerThanLimit,
    /// The account has no money.
    OutOfCredit,
    /// The request carries no key.
    MissingKey,
    /// The key is unknown, or no longer valid.
    InvalidKey,
    /// The account behind the key was closed. Gemini's words repeat the whole key.
    Deactivated,
    /// The key may not use the model.
    ModelForbidden,
    /// There is no such model.
    ModelNotFound,
    /// The caller's country is not served.
    RegionBlocked,
    /// The provider has too much to do.
    Overloaded {
        /// The wait that is stated, if any.
        retry_after: Option<Duration>,
    },
    /// Something broke on the provider's side.
    ServerError,
    /// The provider gave up on the request.
    Timeout,
    /// The prompt is longer than the model's context window.
    ContextLength,
    /// A content policy refuses the prompt. Gemini says so with status 200.
    ContentFilter,
    /// The request is too large in bytes.
    TooLarge,
    /// The request is malformed, for the reason given.
    BadRequest(Cow<'static, str>),
    /// There is nothing at this path.
    NotFound,
}

// === impl Refusal ===

impl Refusal {
    /// A limit of requests, with `Retry-After`.
    pub const fn rate_limited(retry_after: Duration) -> Self {
        Self::RateLimited { dimension: Dimension::Requests, retry_after: Some(retry_after) }
    }

    /// The daily limit, in words that state no trustworthy wait.
    pub const fn daily_limit() -> Self {
        Self::RateLimited { dimension: Dimension::Day, retry_after: None }
    }

    /// What usually stands behind a status; `None` for those no provider words itself.
    pub(super) fn of_status(status: u16, retry_after: Option<Duration>) -> Option<Self> {
        Some(match status {
            400 | 422 => Self::BadRequest("Invalid request.".into()),
            401 => Self::InvalidKey,
            402 => Self::OutOfCredit,
            403 => Self::ModelForbidden,
            404 => Self::ModelNotFound,
            413 => Self::TooLarge,
            429 => Self::RateLimited { dimension: Dimension::Requests, retry_after },
            500 => Self::ServerError,
            503 | 529 => Self::Overloaded { retry_after },
            504 => Self::Timeout,
            _ => return None,
        })
    }
}
