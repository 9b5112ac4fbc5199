//! The usage of one caller, against its limits.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tower_key_rotation::clock::Timestamp;

use crate::config::CallerLimits;
use crate::history::Spans;
use crate::history::ring::{Merge, Rings};
use crate::history::usage::spans;

/// The requests and tokens of a caller over a window of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CallerCounts {
    /// Requests that were passed on.
    pub requests: u64,
    /// Requests that a limit of the caller refused.
    pub refused: u64,
    /// Tokens in prompts.
    pub input_tokens: u64,
    /// Tokens in responses, including thinking.
    pub output_tokens: u64,
}

/// Counts the usage of one caller.
#[derive(Default)]
pub(super) struct Meter(Mutex<Rings<CallerCounts>>);

// === impl Meter ===

impl Meter {
    /// Counts a request. If a limit is used up, returns the time until there is room again.
    pub(super) fn admit(&self, limits: &CallerLimits, now: Timestamp) -> Result<(), Duration> {
        let mut rings = self.rings();
        let requests = |counts: &CallerCounts| counts.requests;
        let tokens = |counts: &CallerCounts| counts.input_tokens.saturating_add(counts.output_tokens);
        let (minute, day) = (&rings.minute, &rings.day);
        let waits = [
            limits.requests_per_minute.map(|limit| minute.until_below(limit.get(), requests, now)),
            limits.requests_per_day.map(|limit| day.until_below(limit.get(), requests, now)),
            limits.tokens_per_minute.map(|limit| minute.until_below(limit.get(), tokens, now)),
            limits.tokens_per_day.map(|limit| day.until_below(limit.get(), tokens, now)),
        ];
        let wait = waits.into_iter().flatten().max().unwrap_or_default();
        if wait.is_zero() {
            rings.change(now, |counts| counts.requests += 1);
            return Ok(());
        }
        rings.change(now, |counts| counts.refused += 1);
        Err(wait)
    }

    /// Counts a request that is refused for another reason than these limits.
    pub(super) fn refuse(&self, now: Timestamp) {
        self.rings().change(now, |counts| counts.refused += 1);
    }

    pub(super) fn tokens(&self, input: u64, output: u64, now: Timestamp) {
        self.rings().change(now, |counts| {
            counts.input_tokens = counts.input_tokens.saturating_add(input);
            counts.output_tokens = counts.output_tokens.saturating_add(output);
        });
    }

    pub(super) fn usage(&self, now: Timestamp) -> Spans<CallerCounts> {
        spans(&self.rings(), now)
    }

    fn rings(&self) -> MutexGuard<'_, Rings<CallerCounts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Merge for CallerCounts {
    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
    }
}
