//! Usage counters, for reporting only: no decision uses them.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::body::meter::Usage;
use crate::clock::Timestamp;

/// The usage of responses over several time spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UsageSnapshot {
    /// Since the pool was built.
    pub total: Consumption,
    /// Since the present minute began, in UTC.
    pub minute: Consumption,
    /// Since the present day began, in UTC.
    pub day: Consumption,
}

/// A number of successful requests, and the tokens that the provider counted for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Consumption {
    /// Number of requests.
    pub requests: u64,
    /// Number of tokens in prompts.
    pub input_tokens: u64,
    /// Number of tokens in responses.
    pub output_tokens: u64,
    /// Number of all tokens, thinking included.
    pub total_tokens: u64,
}

/// Counts the usage of responses.
#[derive(Debug, Default)]
pub(in crate::pool) struct UsageCounters(Mutex<Spans>);

/// The counts by time span. A pool may have very many keys, so the counts of a minute are kept in 32 bits.
#[derive(Clone, Copy, Debug, Default)]
struct Spans {
    total: Consumption,
    day: Consumption,
    minute: [u32; 4],
    /// The number of the minute since the Unix epoch that `minute` counts; `day_number` is the same for
    /// `day`.
    minute_number: u32,
    day_number: u32,
}

const MINUTE_MS: u64 = 60 * 1_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

// === impl UsageCounters ===

impl UsageCounters {
    /// Counts a successful request.
    pub(in crate::pool) fn request(&self, now: Timestamp) {
        self.add(Consumption { requests: 1, ..Consumption::default() }, now);
    }

    /// Counts the tokens of a response.
    pub(in crate::pool) fn tokens(&self, usage: Usage, now: Timestamp) {
        let (input, output) = (usage.input_tokens.unwrap_or(0), usage.output_tokens.unwrap_or(0));
        let total_tokens = usage.total_tokens.unwrap_or_else(|| input.saturating_add(output));
        self.add(Consumption { requests: 0, input_tokens: input, output_tokens: output, total_tokens }, now);
    }

    pub(in crate::pool) fn usage(&self, now: Timestamp) -> UsageSnapshot {
        let spans = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.turn(now);
        let [requests, input_tokens, output_tokens, total_tokens] = spans.minute.map(u64::from);
        let minute = Consumption { requests, input_tokens, output_tokens, total_tokens };
        UsageSnapshot { total: spans.total, minute, day: spans.day }
    }

    fn add(&self, more: Consumption, now: Timestamp) {
        let spans = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.turn(now);
        spans.total.add(more);
        spans.day.add(more);
        let Consumption { requests, input_tokens, output_tokens, total_tokens } = more;
        let more = [requests, input_tokens, output_tokens, total_tokens];
        for (count, more) in spans.minute.iter_mut().zip(more) {
            *count = count.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        }
    }
}

impl Spans {
    fn turn(&mut self, now: Timestamp) {
        let (minute, day) = ((now.as_unix_ms() / MINUTE_MS) as u32, (now.as_unix_ms() / DAY_MS) as u32);
        if minute > self.minute_number {
            (self.minute_number, self.minute) = (minute, [0; 4]);
        }
        if day > self.day_number {
            (self.day_number, self.day) = (day, Consumption::default());
        }
    }
}

impl Consumption {
    fn add(&mut self, more: Self) {
        let Self { requests, input_tokens, output_tokens, total_tokens } = self;
        *requests = requests.saturating_add(more.requests);
        *input_tokens = input_tokens.saturating_add(more.input_tokens);
        *output_tokens = output_tokens.saturating_add(more.output_tokens);
        *total_tokens = total_tokens.saturating_add(more.total_tokens);
    }
}
