//! The ways in which a provider breaks.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::refusal::Refusal;

/// Something that goes wrong with a call.
///
/// The first group replaces the answer; nothing is counted against limits. The second, from
/// [`SlowHead`](Self::SlowHead) on, spoils an answer that was earned: the call goes through limits
/// first. `after` counts content events, so zero means "before the first word", whatever preamble
/// the dialect sends. On an answer that is not streamed, `Cut` and `Stall` stop half way through the
/// body, `ErrorEvent` is an error in a body with status 200, `Malformed` is JSON that does not end,
/// and `NoTerminator` does nothing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// An error in the provider's own words.
    Refuse(Refusal),
    /// A status with the body that usually goes with it, or a gateway's page if none does.
    Status {
        /// The status, sent as it is.
        status: StatusCode,
        /// The wait that is stated, where the dialect and the status can state one.
        retry_after: Option<Duration>,
    },
    /// Exactly this.
    Raw {
        /// The status.
        status: StatusCode,
        /// All headers but the length.
        headers: HeaderMap,
        /// The body.
        body: Bytes,
    },
    /// An HTML page of the gateway in front of the provider: 403 is a challenge, 5xx an outage.
    Gateway(StatusCode),
    /// An error whose body is this many bytes of JSON.
    Huge(StatusCode, usize),
    /// An error without a body.
    Empty(StatusCode),
    /// A 307 to the same path of another origin, such as `https://elsewhere.example`.
    Redirect(String),
    /// The connection is closed after the request was read and before the head.
    Reset,
    /// The connection is refused. Over HTTP this is the same as [`Reset`](Self::Reset).
    Refused,
    /// No answer, ever; the connection stays open.
    Silent,
    /// The head comes this much later.
    SlowHead(Duration),
    /// The head comes at once, the first content this much later.
    SlowContent(Duration),
    /// The stream falls silent and stays open.
    Stall {
        /// Content events before.
        after: usize,
    },
    /// An error event inside the stream, which then ends.
    ErrorEvent {
        /// Content events before.
        after: usize,
        /// What the event says.
        refusal: Refusal,
    },
    /// The stream ends too early.
    Cut {
        /// Content events before.
        after: usize,
        /// Whether the connection breaks; otherwise the body ends like one that is complete.
        reset: bool,
    },
    /// One event is no JSON; the stream goes on after it.
    Malformed {
        /// Content events before.
        after: usize,
    },
    /// The stream is complete but for its terminator: `[DONE]`, `message_stop`,
    /// `response.completed`, Gemini's event with `finishReason`.
    NoTerminator,
}

// === impl Fault ===

impl Fault {
    /// `status` with the body that usually goes with it and without a wait.
    ///
    /// A number that is no status counts as 500.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::Status { status, retry_after: None }
    }

    /// A limit of requests, with `Retry-After`.
    pub const fn rate_limited(retry_after: Duration) -> Self {
        Self::Refuse(Refusal::rate_limited(retry_after))
    }

    /// An overloaded provider: 503, at Anthropic 529.
    pub const fn overloaded() -> Self {
        Self::Refuse(Refusal::Overloaded { retry_after: None })
    }

    /// An overload reported inside a 200 stream, before its first content.
    pub const fn overloaded_in_stream() -> Self {
        Self::ErrorEvent { after: 0, refusal: Refusal::Overloaded { retry_after: None } }
    }

    /// Whether the fault spoils an answer that was earned, instead of replacing it.
    pub(super) fn spoils(&self) -> bool {
        matches!(
            self,
            Self::SlowHead(_)
                | Self::SlowContent(_)
                | Self::Stall { .. }
                | Self::ErrorEvent { .. }
                | Self::Cut { .. }
                | Self::Malformed { .. }
                | Self::NoTerminator
        )
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}
