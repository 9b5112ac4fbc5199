//! The numbers of one window of time.

use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use tower_key_rotation::event::AttemptOutcome;

use crate::history::latency::Latencies;
use crate::history::ring::Merge;

/// Attempts, tokens and latency over a window of time. Serializes to the fields of the
/// [module docs](crate::history#statistics).
#[derive(Clone, Debug, Default)]
pub struct Counts {
    attempts: u64,
    successes: u64,
    input_tokens: u64,
    output_tokens: u64,
    /// Numbers by reason. There are few reasons, so a search is faster than a map.
    errors: Vec<(&'static str, u64)>,
    latencies: Latencies,
}

// === impl Counts ===

impl Counts {
    /// Returns the number of attempts that have ended.
    pub const fn attempts(&self) -> u64 {
        self.attempts
    }

    /// Returns the number of attempts that the provider served.
    pub const fn successes(&self) -> u64 {
        self.successes
    }

    /// Returns the number of tokens in prompts.
    pub const fn input_tokens(&self) -> u64 {
        self.input_tokens
    }

    /// Returns the number of tokens in responses, including thinking.
    pub const fn output_tokens(&self) -> u64 {
        self.output_tokens
    }

    /// Returns the number of attempts that failed for a reason.
    pub fn errors(&self, reason: &str) -> u64 {
        self.errors.iter().find(|(known, _)| *known == reason).map_or(0, |(_, count)| *count)
    }

    /// Returns the time that this share (from 0 to 1) of all attempts did not exceed, in steps of 19 %. `None` if
    /// there was no attempt.
    pub fn latency(&self, share: f64) -> Option<Duration> {
        self.latencies.percentile(share).map(Duration::from_millis)
    }

    pub(super) fn attempt(&mut self, outcome: AttemptOutcome, duration: Duration) {
        self.attempts += 1;
        if outcome == AttemptOutcome::Success {
            self.successes += 1;
        } else {
            self.error(outcome.as_str(), 1);
        }
        // The time of an attempt that was not awaited says nothing about the provider.
        if outcome != AttemptOutcome::Abandoned {
            self.latencies.add(duration);
        }
    }

    pub(super) const fn tokens(&mut self, input: u64, output: u64) {
        self.input_tokens = self.input_tokens.saturating_add(input);
        self.output_tokens = self.output_tokens.saturating_add(output);
    }

    fn error(&mut self, reason: &'static str, times: u64) {
        match self.errors.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += times,
            None => self.errors.push((reason, times)),
        }
    }
}

impl Merge for Counts {
    fn merge(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.successes += other.successes;
        self.tokens(other.input_tokens, other.output_tokens);
        other.errors.iter().for_each(|(reason, times)| self.error(reason, *times));
        self.latencies.merge(&other.latencies);
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let errors: std::collections::BTreeMap<_, _> = self.errors.iter().copied().collect();
        let mut fields = serializer.serialize_struct("Counts", 7)?;
        fields.serialize_field("attempts", &self.attempts)?;
        fields.serialize_field("successes", &self.successes)?;
        fields.serialize_field("errors", &errors)?;
        fields.serialize_field("input_tokens", &self.input_tokens)?;
        fields.serialize_field("output_tokens", &self.output_tokens)?;
        fields.serialize_field("p50_ms", &self.latencies.percentile(0.5))?;
        fields.serialize_field("p95_ms", &self.latencies.percentile(0.95))?;
        fields.end()
    }
}
