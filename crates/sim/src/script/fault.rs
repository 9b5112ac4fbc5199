//! Faults of a simulated provider.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::refusal::Refusal;

/// A fault that a simulated provider produces for one call.
///
/// There are two groups. The faults before [`SlowHead`](Self::SlowHead) replace the response; such a call
/// counts against no limit. The faults from `SlowHead` on alter the response to a call that passed the limits;
/// such a call counts.
///
/// `after` is a number of content events. `0` is the place before the first word, behind the opening events of
/// the dialect. A number larger than the number of content events is the place behind the last one.
///
/// In a response that is not streamed, `Cut` and `Stall` stop half way through the body, `ErrorEvent` puts an
/// error into a body with status 200, `Malformed` sends the first half of the JSON as the whole body, and
/// `NoTerminator` does nothing.
///
/// Use faults in a [`Script`](crate::Script), or at once with [`Simulator::fail`](crate::Simulator::fail) and
/// [`KeyHandle::fail`](crate::KeyHandle::fail).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SimFault {
    /// An error with the status, format and message of the provider.
    Refuse(Refusal),
    /// A status with the body that this provider usually sends with it. A status that the provider sends no
    /// error of its own with gets the HTML page of a gateway.
    Status {
        /// The status of the response.
        status: StatusCode,
        /// The wait that the response states. Ignored if the dialect states no wait with this status.
        retry_after: Option<Duration>,
    },
    /// A response with exactly this status, these headers and this body, plus `date` and `content-length`.
    Raw {
        /// The status of the response.
        status: StatusCode,
        /// The headers of the response.
        headers: HeaderMap,
        /// The body of the response.
        body: Bytes,
    },
    /// An HTML page of the gateway in front of the provider, with this status: 403 is a challenge, 5xx an
    /// outage.
    Gateway(StatusCode),
    /// An error with this status, whose body is JSON of this many bytes.
    Huge(StatusCode, usize),
    /// An error with this status and an empty body.
    Empty(StatusCode),
    /// A 307 to the same path at this origin, such as `https://elsewhere.example`.
    Redirect(String),
    /// The connection is closed after the request was read and before the response head.
    Reset,
    /// The connection is refused. Over HTTP this is the same as [`Reset`](Self::Reset).
    Refused,
    /// No response is ever sent, and the connection stays open.
    Silent,
    /// The response head is delayed by this time, in addition to the latency.
    SlowHead(Duration),
    /// The first content is delayed by this time. The response head is not.
    SlowContent(Duration),
    /// The stream stops and stays open.
    Stall {
        /// Number of content events before the stall.
        after: usize,
    },
    /// An error event within the stream, which then ends.
    ErrorEvent {
        /// Number of content events before the error.
        after: usize,
        /// The error that the event reports.
        refusal: Refusal,
    },
    /// The stream ends too early.
    Cut {
        /// Number of content events before the end.
        after: usize,
        /// Whether the connection breaks. Otherwise the body ends in the same way as a complete one.
        reset: bool,
    },
    /// An event that is not valid JSON: the first half of the next event, sent ahead of it. The stream goes
    /// on afterwards.
    Malformed {
        /// Number of content events before the malformed one.
        after: usize,
    },
    /// The stream lacks only its terminator: `[DONE]`, `message_stop`, `response.completed`, or Gemini's
    /// event with `finishReason`.
    NoTerminator,
}

// === impl SimFault ===

impl SimFault {
    /// Returns [`Status`](Self::Status) with `status` and without a wait. An invalid status counts as 500.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::Status { status, retry_after: None }
    }

    /// Returns the refusal of a request limit, with `retry_after` as its wait.
    pub const fn rate_limited(retry_after: Duration) -> Self {
        Self::Refuse(Refusal::rate_limited(retry_after))
    }

    /// Returns the refusal of an overloaded provider: status 503, or 529 at Anthropic. It states no wait.
    pub const fn overloaded() -> Self {
        Self::Refuse(Refusal::Overloaded { retry_after: None })
    }

    /// Returns an overload reported within a stream of status 200, before its first content.
    pub const fn overloaded_in_stream() -> Self {
        Self::ErrorEvent { after: 0, refusal: Refusal::Overloaded { retry_after: None } }
    }

    /// Returns whether the fault alters the response to a call that passed the limits. Any other fault
    /// replaces the response.
    pub(crate) fn alters_response(&self) -> bool {
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

impl From<Refusal> for SimFault {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}
