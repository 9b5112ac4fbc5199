//! The result of one attempt.

use tower::BoxError;

use crate::classify::Verdict;
use crate::clock::Moment;
use crate::exchange::inspect::UpstreamResponse;

/// What an attempt brought: an answer or the client's error, and what the classifier says of it.
pub(super) struct Tried<B> {
    pub(super) verdict: Verdict,
    pub(super) answer: Result<UpstreamResponse<B>, BoxError>,
    /// When the head came, or the error.
    pub(super) answered: Moment,
}
