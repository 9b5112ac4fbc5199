//! The decision about each verdict.
//!
//! The policy knows budgets and no provider. It is a pure function of the verdict and of the request's progress,
//! with one exception: the retry budget, shared by all requests of the layer, which prevents a storm of retries
//! when a provider is down.

use std::time::Duration;

use crate::classify::{Fault, Reason, Rejection, Scope, Verdict};
use crate::error::StopReason;
use crate::exchange::retry::{RetryBudget, RetryDelay};

/// The limits for attempts and retries of a request.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) max_attempts: usize,
    pub(super) max_retries: usize,
    pub(super) backoff: RetryDelay,
    pub(super) budget: RetryBudget,
    pub(super) resend: bool,
}

/// The progress of a request, and the means left for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Attempts so far, including the current one.
    pub(super) attempts: usize,
    /// Whether a chain decides about faults of the provider.
    pub(super) in_chain: bool,
    /// Number of these attempts that were retries after a fault of the provider.
    pub(super) retries: usize,
    /// Whether this key and an earlier one, both in good standing, were refused alike.
    pub(super) refused_alike: bool,
    /// Whether the body can be sent again.
    pub(super) replayable: bool,
    /// Whether executing the request twice does no harm.
    pub(super) idempotent: bool,
    /// Whether a key is usable that the request has not tried. After an unclear response, one of another account.
    pub(super) another_key: bool,
    /// Whether another account has responded as unclearly.
    pub(super) unclear_alike: bool,
    /// Upper bound of a retry's delay that leaves time for an attempt before the deadline.
    pub(super) time_left: Option<Duration>,
}

/// The action that follows a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Deliver the response.
    Deliver,
    /// Deliver the response, and undo the cooldowns in doubt.
    Undo,
    /// Use another key, at once.
    Rotate,
    /// Retry after this delay, with another key if there is one. The delay may be zero.
    Retry(Duration),
    /// Give up.
    GiveUp(StopReason),
}

// === impl Policy ===

impl Policy {
    pub(super) const MAX_ATTEMPTS: usize = 16;
    pub(super) const MAX_RETRIES: usize = 1;

    /// Records one request, which adds its share to the retry budget.
    pub(super) fn begin(&self) {
        self.budget.deposit();
    }

    pub(super) fn decide(&self, verdict: &Verdict, progress: Progress) -> Action {
        match verdict {
            Verdict::Rejected(Rejection::Unclear) if self.may_ask_another_account(progress) => Action::Rotate,
            Verdict::Success | Verdict::Rejected(_) | Verdict::Inspect => Action::Deliver,
            Verdict::Fault(fault) if fault.scope() == Scope::None => Action::Deliver,
            Verdict::Fault(fault) if fault.scope().is_provider() => self.provider_fault(fault, progress),
            Verdict::Fault(fault) => self.key_fault(fault, progress),
        }
    }

    /// Returns whether an unclear response is worth an attempt with another account.
    const fn may_ask_another_account(&self, progress: Progress) -> bool {
        progress.another_key
            && !progress.unclear_alike
            && progress.replayable
            && progress.attempts < self.max_attempts
    }

    fn key_fault(&self, fault: &Fault, progress: Progress) -> Action {
        if progress.refused_alike && !fault.account_reason() && !fault.one_resource() && !fault.is_not_here()
        {
            // Another provider has other keys, but may not offer what is forbidden here at all.
            let may_help = progress.in_chain && fault.reason() != Reason::Forbidden;
            return if may_help { Action::GiveUp(StopReason::RefusedAlike) } else { Action::Undo };
        }
        if self.may_pay_twice(fault, progress) {
            return Action::GiveUp(StopReason::ProviderFault);
        }
        if !progress.replayable {
            return Action::GiveUp(StopReason::NotReplayable);
        }
        if progress.attempts >= self.max_attempts {
            return Action::GiveUp(StopReason::AttemptLimit);
        }
        Action::Rotate
    }

    fn provider_fault(&self, fault: &Fault, progress: Progress) -> Action {
        let hopeless = fault.reason() == Reason::Blocked;
        let soon = fault.retry_after().is_none_or(|wait| wait <= self.backoff.longest());
        let left = progress.retries < self.max_retries && progress.attempts < self.max_attempts;
        let at_once = progress.another_key && progress.retries == 0;
        let backoff = if at_once { Duration::ZERO } else { self.backoff.jittered() };
        let wait = backoff.max(fault.retry_after().unwrap_or_default());
        if progress.in_chain
            || hopeless
            || self.may_pay_twice(fault, progress)
            || !soon
            || !left
            || !progress.replayable
            || (!wait.is_zero() && progress.time_left.is_some_and(|left| left <= wait))
            || !self.budget.withdraw()
        {
            return Action::GiveUp(StopReason::ProviderFault);
        }
        Action::Retry(wait)
    }

    /// Returns whether another call could be billed a second time, and nothing allows that. A chain decides itself
    /// whether to call the next provider.
    const fn may_pay_twice(&self, fault: &Fault, progress: Progress) -> bool {
        let is_allowed = progress.idempotent || (self.resend && !progress.in_chain);
        fault.may_have_run() && !is_allowed
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_attempts: Self::MAX_ATTEMPTS,
            max_retries: Self::MAX_RETRIES,
            backoff: RetryDelay::DEFAULT,
            budget: RetryBudget::default(),
            resend: false,
        }
    }
}
