//! What is wrong with a stream that the caller has already begun to read.

use std::fmt;
use std::time::Duration;

use tower::BoxError;

/// A stream that was delivered in part and is not complete.
///
/// What came was passed on, so the request can't be sent again behind the caller's back. The caller can: in
/// full, with what came so far thrown away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// It ended, and its protocol says that there is more to come.
    #[error("the stream ended before the answer was complete: send the request again")]
    Truncated,
    /// The connection failed.
    #[error("the connection broke before the answer was complete: send the request again")]
    Broken(#[source] BoxError),
    /// The last thing the provider sent was an error.
    #[error("the provider ended the stream with an error, which is its last event: see there")]
    Failed,
    /// An event, or a whole response, is a JSON document that is none. The event is the last thing that passed.
    #[error("an event of the stream is no JSON document: send the request again")]
    Malformed,
    /// Nothing came for longer than is allowed.
    #[error(
        "nothing came for {0:?}: send the request again, or allow for more if the model thinks that long"
    )]
    Idle(Duration),
}

/// The kind of a [`StreamError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamErrorKind {
    /// The stream ended without its terminator.
    Truncated,
    /// The connection failed.
    Broken,
    /// The provider sent an error event.
    Failed,
    /// A JSON document is malformed.
    Malformed,
    /// Nothing came within the idle limit.
    Idle,
}

// === impl StreamError ===

impl StreamError {
    /// The kind of the error.
    pub const fn kind(&self) -> StreamErrorKind {
        match self {
            Self::Truncated => StreamErrorKind::Truncated,
            Self::Broken(_) => StreamErrorKind::Broken,
            Self::Failed => StreamErrorKind::Failed,
            Self::Malformed => StreamErrorKind::Malformed,
            Self::Idle(_) => StreamErrorKind::Idle,
        }
    }
}

// === impl StreamErrorKind ===

impl StreamErrorKind {
    /// The name in events, log lines and metrics: `truncated`, `broken`, `failed`, `malformed` or `idle`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Broken => "broken",
            Self::Failed => "failed",
            Self::Malformed => "malformed",
            Self::Idle => "idle",
        }
    }
}

impl fmt::Display for StreamErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
