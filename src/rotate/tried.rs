//! The result of one attempt.

use tower::BoxError;

use crate::classify::Verdict;
use crate::clock::Moment;
use crate::exchange::inspect::UpstreamResponse;

/// The result of an attempt: the response or the client's error, and the classifier's verdict.
pub(super) struct Tried<B> {
    pub(super) verdict: Verdict,
    pub(super) response: Result<UpstreamResponse<B>, BoxError>,
    /// The time at which the head of the response, or the error, came.
    pub(super) answered: Moment,
}
