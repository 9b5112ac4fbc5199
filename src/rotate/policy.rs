//! What to do about a verdict.
//!
//! The policy knows budgets and no provider. It is a pure function of the verdict and of what the request
//! has been through, but for one thing: the retry budget, shared by all requests of the layer, which keeps
//! retries from becoming a storm when a provider is down.

use std::time::Duration;

use crate::classify::{Fault, Reason, Scope, Verdict};
use crate::error::StopReason;
use crate::exchange::retry::{RetryBudget, RetryDelay};

/// What may be tried for a request.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) max_attempts: usize,
    pub(super) max_retries: usize,
    pub(super) backoff: RetryDelay,
    pub(super) budget: RetryBudget,
    pub(super) resend: bool,
}

/// What a request has been through, and what can be done for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Attempts so far, the one that is judged included.
    pub(super) attempts: usize,
    /// A chain decides what is done about faults of the provider.
    pub(super) in_chain: bool,
    /// Of these, repeats after a fault of the provider.
    pub(super) retries: usize,
    /// This key and one before it, both in good standing, were refused alike.
    pub(super) refused_alike: bool,
    /// The body can be sent again.
    pub(super) replayable: bool,
    /// Running the request twice does no harm.
    pub(super) idempotent: bool,
    /// A key is usable that the request has not tried.
    pub(super) another_key: bool,
    /// How long a retry may wait, so that it has time for an attempt before the deadline.
    pub(super) time_left: Option<Duration>,
}

/// What to do about a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Hand the answer over.
    Deliver,
    /// Hand the answer over, and take back what it was held against keys.
    Undo,
    /// Another key, at once.
    Rotate,
    /// Another key if there is one: the first time at once, else after a back-off.
    Retry(Duration),
    /// Stop.
    GiveUp(StopReason),
}

// === impl Policy ===

impl Policy {
    /// A request has come, and adds its share to the retry budget.
    pub(super) fn begin(&self) {
        self.budget.deposit();
    }

    pub(super) fn decide(&self, verdict: &Verdict, progress: Progress) -> Action {
        match verdict {
            Verdict::Success | Verdict::Rejected(_) | Verdict::Inspect => Action::Deliver,
            Verdict::Fault(fault) if fault.scope() == Scope::None => Action::Deliver,
            Verdict::Fault(fault) if fault.scope().is_provider() => self.provider_fault(fault, progress),
            Verdict::Fault(fault) => self.key_fault(fault, progress),
        }
    }

    fn key_fault(&self, fault: &Fault, progress: Progress) -> Action {
        if progress.refused_alike && !fault.names_account() && !fault.is_of_resource() {
            // Another provider has other keys, but may have nothing to do with what is forbidden here.
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
        let soon = fault.wait().is_none_or(|wait| wait <= self.backoff.longest());
        let left = progress.retries < self.max_retries && progress.attempts < self.max_attempts;
        let at_once = progress.another_key && progress.retries == 0;
        let backoff = if at_once { Duration::ZERO } else { self.backoff.jittered() };
        let wait = backoff.max(fault.wait().unwrap_or_default());
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

    /// Whether another call could be a second one that is billed, and nothing allows it. A chain decides itself
    /// whether the next provider is asked.
    const fn may_pay_twice(&self, fault: &Fault, progress: Progress) -> bool {
        let is_allowed = progress.idempotent || (self.resend && !progress.in_chain);
        fault.is_ambiguous() && !is_allowed
    }
}
