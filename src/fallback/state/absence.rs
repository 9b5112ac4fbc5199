//! Links that lack what a request names: an endpoint, a model, a stored object.

use http::{Method, StatusCode};

use crate::classify::{Rejection, Verdict};
use crate::error::{ProviderFailed, SkipReason};
use crate::fallback::state::ChainState;
use crate::fallback::state::failure::LinkFailure;
use crate::fallback::state::next_link::NextLink;
use crate::provider::{Endpoint, names_stored};

// === impl ChainState ===

impl<B> ChainState<B> {
    /// Returns the turn of the next link in order. A request whose body names stored objects does not leave the
    /// company of the link that it was sent to first.
    pub(super) fn next_link(&mut self) -> Option<NextLink> {
        if let Some(first) = self.behind.first().map(|failure| failure.link)
            && self.ahead.left > 0
            && !self.ahead.is_bound()
            && self.body.read(names_stored)
        {
            self.ahead.bind(first, &self.chain);
        }
        self.ahead.next(&self.chain).map(NextLink::to)
    }

    /// Returns whether another response is better than one that says that the endpoint, the model or the object does
    /// not exist: the failure of an earlier link, or the response of a link that may know the object.
    pub(in crate::fallback) fn looks_further(&self, response: StatusCode, verdict: &Verdict) -> bool {
        let Verdict::Rejected(rejection) = verdict else { return false };
        let is_missing = matches!(response.as_u16(), 404 | 405 | 501);
        if !is_missing && *rejection != Rejection::Unclear {
            return false;
        }
        self.has_other_failure() || (is_missing && self.ahead.left > 0 && self.looks_up())
    }

    /// Returns whether an earlier link failed for another reason than that it lacks what the request names.
    fn has_other_failure(&self) -> bool {
        self.behind.iter().any(|failure| failure.failed.shows_more_than_absence())
    }

    pub(in crate::fallback) const fn has_failed(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Returns whether the request looks for one thing that any of the next links may have.
    fn looks_up(&self) -> bool {
        self.ahead.is_bound()
            || (*self.head.method() == Method::GET && self.ahead.endpoint() == Endpoint::Models)
    }

    /// Records that no link has the endpoint of the request, if none had a turn for this reason.
    pub(super) fn add_absent_endpoint(&mut self) {
        if self.has_failed() {
            return;
        }
        let failed = |link| ProviderFailed::new(self.name_of(link), SkipReason::NoEndpoint);
        let failure = |link| LinkFailure::new(NextLink::to(link), failed(link));
        self.behind = (0..self.chain.links.len()).map(failure).collect();
    }
}
