//! The settings of a chain, and their defaults.

use std::sync::Arc;
use std::time::Duration;

use crate::body::ReplayBody;
use crate::event::Events;
use crate::exchange::inspect::Limits;
use crate::exchange::retry::{RetryBudget, RetryDelay};
use crate::exchange::time_limits::TimeLimits;
use crate::fallback::breaker::BreakerPolicy;
use crate::fallback::commit::Commit;
use crate::fallback::timeouts::{self, Timeouts};
use crate::text::words;

/// The settings of a chain, shared by all its requests.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) start: Start,
    pub(super) deadline: Option<Duration>,
    pub(super) head_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    /// Time limits for the models that match a pattern.
    pub(super) by_model: Vec<(String, Timeouts)>,
    pub(super) limits: Limits,
    pub(super) commit: Commit,
    pub(super) complete_cap: usize,
    pub(super) context_length: ContextLength,
    pub(super) resend_ambiguous: bool,
    pub(super) wait_for_key: bool,
    pub(super) patience: Duration,
    pub(super) max_attempts: usize,
    pub(super) backoff: RetryDelay,
    pub(super) budget: RetryBudget,
    pub(super) breaker: BreakerPolicy,
    pub(super) replay_cap: usize,
    pub(super) events: Events,
    pub(super) error_events: bool,
}

/// The rule for the link that a request is sent to first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// Always the first link: the cheapest, or the best.
    #[default]
    Ordered,
    /// Each link in turn. The request moves on in order from there, and from the last link to the first.
    RoundRobin,
}

/// The action for a request that is too long for a provider's model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextLength {
    /// Deliver the provider's response to the caller.
    #[default]
    Deliver,
    /// Call the next link, whose model may accept a longer request.
    FallOver,
}

words!(Start {
    Ordered => "ordered",
    RoundRobin => "round_robin",
});

words!(ContextLength {
    FallOver => "fall_over",
    Deliver => "deliver",
});

// === impl Settings ===

impl Settings {
    pub(super) const MAX_ATTEMPTS: usize = 16;
    pub(super) const COMPLETE_CAP: usize = 8 * 1024 * 1024;

    /// Returns the time limits for all models, followed by those for some.
    pub(super) fn times(&self) -> Arc<[TimeLimits]> {
        let Self { head_timeout, idle_timeout, limits, .. } = *self;
        timeouts::all(TimeLimits { head: head_timeout, idle: idle_timeout, inspect: limits }, &self.by_model)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            start: Start::default(),
            deadline: None,
            head_timeout: None,
            idle_timeout: None,
            by_model: Vec::new(),
            limits: Limits::DEFAULT,
            commit: Commit::default(),
            complete_cap: Self::COMPLETE_CAP,
            context_length: ContextLength::default(),
            resend_ambiguous: true,
            wait_for_key: true,
            patience: Duration::ZERO,
            max_attempts: Self::MAX_ATTEMPTS,
            backoff: RetryDelay::DEFAULT,
            budget: RetryBudget::default(),
            breaker: BreakerPolicy::default(),
            replay_cap: ReplayBody::CAP,
            events: Events::default(),
            error_events: false,
        }
    }
}
