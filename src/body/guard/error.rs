//! The error of a stream that the caller has already begun to read.

use std::fmt;
use std::time::Duration;

use tower::BoxError;

/// The error of a stream that was delivered in part and is not complete.
///
/// The delivered part can't be taken back, so this crate does not send the request again. The caller can: it has to
/// discard the part that came and read the new response from its beginning.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream ended before its response was complete, according to its protocol.
    #[error("the stream ended before the response was complete: send the request again")]
    Truncated,
    /// The connection failed.
    #[error("the connection broke before the response was complete: send the request again")]
    Broken(#[source] BoxError),
    /// The last event that the provider sent was an error.
    #[error("the provider ended the stream with an error, which is its last event: see there")]
    Failed,
    /// An event, or a whole response, is not a valid JSON document. The event is the last thing that passed.
    #[error("an event of the stream is no JSON document: send the request again")]
    Malformed,
    /// Nothing came for longer than the idle timeout, which is given here.
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
    /// Nothing came within the idle timeout.
    Idle,
}

// === impl StreamError ===

impl StreamError {
    /// Returns the kind of the error.
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
    /// Returns the name in events, log lines and metrics: `truncated`, `broken`, `failed`, `malformed` or `idle`.
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
