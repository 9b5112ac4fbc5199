//! What is wrong with a stream that the caller has already begun to read.

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
    /// An event is a JSON document that is none.
    #[error("an event of the stream is no JSON document: send the request again")]
    Malformed,
    /// Nothing came for longer than is allowed.
    #[error(
        "nothing came for {0:?}: send the request again, or allow for more if the model thinks that long"
    )]
    Idle(Duration),
}
