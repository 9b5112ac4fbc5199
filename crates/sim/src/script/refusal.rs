//! Errors that a provider reports, independent of the dialect.

use std::borrow::Cow;
use std::time::Duration;

/// The kind of limit that a call exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SimDimension {
    /// Requests per second or minute.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Requests per day.
    Day,
}

/// An error that the provider itself reports. Each dialect has its own status and message for it.
///
/// A refusal converts into a [`SimFault`](crate::SimFault), and so into a step of a script:
///
/// ```
/// use tower_key_rotation_sim::{Refusal, SimKey, Simulator};
///
/// let sim = Simulator::gemini().key(SimKey::new("a", "AIza-a")).build();
/// sim.key("a").fail(1, Refusal::OutOfCredit);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The call exceeded a limit that refills with time.
    RateLimited {
        /// The limit that was exceeded.
        dimension: SimDimension,
        /// The wait that the error states. With `None` the wait is left out, where the dialect can do that.
        retry_after: Option<Duration>,
    },
    /// The request is larger than the whole limit, so no wait helps.
    LargerThanLimit,
    /// The account has no credit left.
    OutOfCredit,
    /// The request carries no key.
    MissingKey,
    /// The key is unknown, or revoked.
    InvalidKey,
    /// The account of the key was closed. Gemini's message repeats the whole key.
    Deactivated,
    /// The key may not use the model.
    ModelForbidden,
    /// The model does not exist.
    ModelNotFound,
    /// The provider does not serve the caller's country.
    RegionBlocked,
    /// The provider is overloaded.
    Overloaded {
        /// The wait that the error states, if any.
        retry_after: Option<Duration>,
    },
    /// An internal error of the provider.
    ServerError,
    /// The provider gave up on the request.
    Timeout,
    /// The prompt is longer than the context window of the model.
    ContextLength,
    /// A content policy blocks the prompt. Gemini reports this with status 200.
    ContentFilter,
    /// The request has too many bytes.
    TooLarge,
    /// The request is invalid, for this reason.
    BadRequest(Cow<'static, str>),
    /// The object that the request names does not exist, or is another account's. The text is OpenAI's
    /// message.
    ObjectNotFound(Cow<'static, str>),
    /// The response that the request continues does not exist, or is another account's. Has its id.
    PreviousResponseNotFound(String),
    /// The request has reasoning that another account's model encrypted.
    InvalidEncryptedContent,
    /// The path does not exist.
    NotFound,
}

// === impl Refusal ===

impl Refusal {
    /// Returns the refusal of a request limit, with `retry_after` as its wait.
    pub const fn rate_limited(retry_after: Duration) -> Self {
        Self::RateLimited { dimension: SimDimension::Requests, retry_after: Some(retry_after) }
    }

    /// Returns the error that a status usually stands for. `None` for a status that providers send no error
    /// of their own with.
    pub(crate) fn of_status(status: u16, retry_after: Option<Duration>) -> Option<Self> {
        Some(match status {
            400 | 422 => Self::BadRequest("Invalid request.".into()),
            401 => Self::InvalidKey,
            402 => Self::OutOfCredit,
            403 => Self::ModelForbidden,
            404 => Self::ModelNotFound,
            413 => Self::TooLarge,
            429 => Self::RateLimited { dimension: SimDimension::Requests, retry_after },
            500 => Self::ServerError,
            503 | 529 => Self::Overloaded { retry_after },
            504 => Self::Timeout,
            _ => return None,
        })
    }
}
