//! The failure of a request at one link.

use std::time::Duration;

use tokio::time::Instant;

use crate::classify::{Fault, Reason};
use crate::error::ProviderFailed;
use crate::error::SkipReason;
use crate::error::StopReason;
use crate::fallback::state::next_link::NextLink;

/// The failure of a request at one link, with the state that decides about a second turn.
pub(in crate::fallback) struct LinkFailure {
    pub(in crate::fallback) link: usize,
    pub(in crate::fallback) failed: ProviderFailed,
    /// The time at which the link was left, to which the times in `failed` are relative.
    left_at: Instant,
    /// Whether the request was allowed to wait for a key there and failed without an attempt. It is not allowed
    /// to wait there again.
    waited_in_vain: bool,
    /// Whether the link has already had the chain's patience.
    pub(in crate::fallback) was_patient: bool,
}

// === impl LinkFailure ===

impl LinkFailure {
    pub(in crate::fallback) fn new(next: NextLink, failed: ProviderFailed) -> Self {
        let waited_in_vain = !next.longest_wait.is_zero() && failed.attempts.is_empty();
        Self {
            link: next.link,
            failed,
            left_at: Instant::now(),
            waited_in_vain,
            was_patient: next.is_patient,
        }
    }

    /// Adds the failure of a later turn of the link.
    pub(in crate::fallback) fn then(&mut self, later: Self) {
        let was_patient = self.was_patient || later.was_patient;
        self.failed.then(later.failed);
        self.left_at = later.left_at;
        self.waited_in_vain = later.waited_in_vain;
        self.was_patient = was_patient;
    }

    /// Converts into the reported failure, with the rest of its wait.
    pub(in crate::fallback) fn into_failed(mut self, now: Instant) -> ProviderFailed {
        let rest = |wait| self.rest(wait, now);
        self.failed.retry_after = self.failed.retry_after.map(rest);
        self.failed
    }

    /// Returns the time until the link may serve, if it is unusable only for a time, and whether the link
    /// itself waits for a key.
    ///
    /// Never zero twice in a row without an attempt: a wait in vain is not repeated, and a breaker that is
    /// still open states a time.
    pub(in crate::fallback) fn wait(&self, now: Instant) -> Option<(Duration, bool)> {
        match self.failed.because {
            SkipReason::Keys(StopReason::Exhausted) if !self.waited_in_vain => {
                Some((self.rest(self.failed.wait?, now), true))
            }
            SkipReason::BreakerOpen => Some((self.rest(self.failed.retry_after?, now), false)),
            _ => None,
        }
    }

    /// Returns the wait that the provider states for its keys or for a link without keys, and whether the link
    /// itself waits for a key.
    pub(in crate::fallback) fn stated_wait(&self, now: Instant) -> Option<(Duration, bool)> {
        match &self.failed.because {
            _ if self.failed.may_have_run() => None,
            SkipReason::Fault(fault) if fault.reason() == Reason::RateLimited => {
                Some((self.rest(fault.retry_after()?, now), false))
            }
            SkipReason::Keys(_) => self.wait(now),
            _ => None,
        }
    }

    /// Returns the fault of the provider, if it may pass within a time and can be retried, and whether another
    /// key is usable.
    pub(in crate::fallback) fn passing(&self, within: Duration, may_repeat: bool) -> Option<(&Fault, bool)> {
        let failed = Some(&self.failed).filter(|failed| failed.is_providers_fault());
        let fault = failed.and_then(ProviderFailed::fault)?;
        let harmless = may_repeat || !self.failed.may_have_run();
        let passes = is_transient(fault.reason()) && fault.retry_after().is_none_or(|wait| wait <= within);
        (harmless && passes).then_some((fault, self.has_another_key()))
    }

    fn has_another_key(&self) -> bool {
        let failed = matches!(self.failed.because, SkipReason::Keys(StopReason::ProviderFault));
        failed && self.failed.wait.is_some_and(|wait| wait.is_zero())
    }

    fn rest(&self, wait: Duration, now: Instant) -> Duration {
        wait.saturating_sub(now.saturating_duration_since(self.left_at))
    }
}

const fn is_transient(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Overloaded | Reason::ServerError | Reason::Timeout | Reason::Truncated | Reason::Unreachable
    )
}
