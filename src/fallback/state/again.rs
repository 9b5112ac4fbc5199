//! The next turn: of the next in order, unless it lacks what the request names, or again the one that has
//! had its turn: patience, a retry, and a wait.

use std::time::Duration;

use tokio::time::Instant;

use crate::classify::{Rejection, Verdict};
use crate::error::{ProviderFailed, SkipReason};
use crate::fallback::state::ChainState;
use crate::fallback::state::failure::LinkFailure;
use crate::fallback::state::next_link::NextLink;
use crate::provider::{Endpoint, names_stored};
use http::{Method, StatusCode};

// === impl ChainState ===

impl<B> ChainState<B> {
    /// Returns a second turn for the link that was just left, if the chain has patience with it: it states a
    /// wait that is short enough, or its fault may pass. Once for each link, and never if the request may have
    /// been executed.
    pub(in crate::fallback) fn patience(&self) -> Option<NextLink> {
        let patience = self.chain.settings.patience;
        if patience.is_zero() || !self.body.is_replayable() || self.context.attempts() <= self.ahead.left {
            return None;
        }
        let last = self.last?;
        let failure = self.behind.iter().find(|failure| failure.link == last && !failure.was_patient)?;
        let now = Instant::now();
        let next = NextLink { is_patient: true, ..NextLink::to(last) };
        let (next, is_retry) = match failure.stated_wait(now) {
            Some((wait, _)) if wait > patience => return None,
            Some((_, true)) => (NextLink { longest_wait: patience, ..next }, false),
            Some((wait, false)) => (NextLink { after: wait, ..next }, false),
            None => {
                let (fault, another_key) = failure.passing(patience, false)?;
                (NextLink { after: self.before_retry(fault.retry_after(), another_key), ..next }, true)
            }
        };
        let fits = self.fits(next.after, last, now);
        (fits && (!is_retry || self.chain.settings.budget.withdraw())).then_some(next)
    }

    /// Returns a retry at a link whose failure may pass soon. Prefers a link with another usable key, which is
    /// called at once. Once per request, and only if nothing can be executed twice.
    pub(in crate::fallback) fn retry(&mut self) -> Option<NextLink> {
        let longest = self.chain.settings.backoff.longest();
        if self.retried || !self.body.is_replayable() {
            return None;
        }
        let idempotent = self.head.is_idempotent();
        let candidate = |failure: &LinkFailure| {
            let (fault, another_key) = failure.passing(longest, idempotent)?;
            Some((failure.link, fault.retry_after(), another_key))
        };
        let candidates = self.behind.iter().filter_map(candidate);
        let (link, hint, another_key) = candidates.min_by_key(|(_, _, another_key)| !another_key)?;
        let after = self.before_retry(hint, another_key);
        if !self.fits(after, link, Instant::now()) || !self.chain.settings.budget.withdraw() {
            return None;
        }
        self.retried = true;
        Some(NextLink { after, ..NextLink::to(link) })
    }

    /// Returns a turn for the link that is usable the soonest, if the wait leaves time for an attempt before the
    /// deadline.
    pub(in crate::fallback) fn wait(&self) -> Option<NextLink> {
        let (deadline, now) = (self.deadline.filter(|_| self.may_wait())?, Instant::now());
        let waits = self.behind.iter().filter_map(|failure| Some((failure.wait(now)?, failure.link)));
        let ((wait, at_keys), link) = waits.min_by_key(|((wait, _), link)| (*wait, *link))?;
        if at_keys {
            // The pool has stated that the wait fits, and enforces it. It waits once in this turn: after another
            // refusal, the next turn is that of the link that is usable the soonest by then.
            let longest_wait = deadline.saturating_duration_since(now);
            return Some(NextLink { longest_wait, ..NextLink::to(link) });
        }
        Some(NextLink { after: wait, ..NextLink::to(link) }).filter(|_| self.fits(wait, link, now))
    }

    fn fits(&self, wait: Duration, link: usize, now: Instant) -> bool {
        let latest = self.deadline.map(|deadline| self.chain.links[link].latency.latest_start(deadline));
        latest.is_none_or(|latest| now.checked_add(wait).is_some_and(|end| end < latest))
    }

    /// Returns the delay before a retry: none with another key, otherwise a random one; and at least the wait
    /// that the provider states.
    fn before_retry(&self, hint: Option<Duration>, another_key: bool) -> Duration {
        let backoff = if another_key { Duration::ZERO } else { self.chain.settings.backoff.jittered() };
        backoff.max(hint.unwrap_or_default())
    }

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
        let next = NextLink::to(self.ahead.next(&self.chain)?);
        // At the only link of a request it queues behind those that wait already.
        let is_only = self.ahead.left == 0 && !self.has_failed();
        let longest_wait = if is_only && self.may_wait() { Duration::MAX } else { Duration::ZERO };
        Some(NextLink { longest_wait, ..next })
    }

    /// Returns whether the request may wait for a key.
    fn may_wait(&self) -> bool {
        self.chain.settings.wait_for_key && self.deadline.is_some() && self.body.is_replayable()
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
