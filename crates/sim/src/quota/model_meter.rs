//! The state of the limits of one model.

use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Bucket;
use super::day::Day;
use super::gauge::{Gauges, Headroom};
use super::limits::Limits;
use super::periods::Periods;
use crate::script::{Refusal, SimDimension};

/// The limits of one model, each with the amount that is left. `None` where there is no such limit.
#[derive(Debug)]
pub(super) struct ModelMeter {
    second: Option<Bucket>,
    minute: Option<Bucket>,
    tokens: Option<Bucket>,
    day: Option<Day>,
}

// === impl ModelMeter ===

impl ModelMeter {
    pub(super) fn new(limits: Limits, periods: Periods, now: Instant) -> Self {
        let requests = |amount: u32, period| Bucket::new(limits.burst.unwrap_or(amount), amount, period, now);
        Self {
            second: limits.requests_per_second.map(|amount| requests(amount, periods.second())),
            minute: limits.requests_per_minute.map(|amount| requests(amount, periods.minute)),
            tokens: limits.tokens_per_minute.map(|amount| Bucket::new(amount, amount, periods.minute, now)),
            day: limits.requests_per_day.map(|limit| Day::new(limit, periods, now)),
        }
    }

    pub(super) fn refill(&mut self, now: Instant) {
        for bucket in [&mut self.second, &mut self.minute, &mut self.tokens].into_iter().flatten() {
            bucket.refill(now);
        }
        if let Some(day) = &mut self.day {
            day.refill(now);
        }
    }

    pub(super) fn new_day(&mut self) {
        if let Some(day) = &mut self.day {
            day.restore();
        }
    }

    pub(super) fn check(&self, tokens: f64) -> Result<(), Refusal> {
        self.day.as_ref().map_or(Ok(()), Day::check)?;
        for bucket in [&self.second, &self.minute].into_iter().flatten() {
            refuse_unless_zero(SimDimension::Requests, bucket.wait_for(1.0))?;
        }
        let Some(bucket) = &self.tokens else { return Ok(()) };
        match bucket.wait_for(tokens) {
            None => Err(Refusal::LargerThanLimit),
            wait => refuse_unless_zero(SimDimension::Tokens, wait),
        }
    }

    pub(super) fn charge(&mut self, tokens: f64) {
        for bucket in [&mut self.second, &mut self.minute].into_iter().flatten() {
            bucket.take(1.0);
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens);
        }
        if let Some(day) = &mut self.day {
            day.charge();
        }
    }

    pub(super) fn headroom(&self) -> Headroom {
        let requests = [&self.second, &self.minute].into_iter().flatten().map(Bucket::level);
        let requests = requests.chain(self.day.as_ref().map(Day::left)).reduce(f64::min);
        Headroom { requests, tokens: self.tokens.as_ref().map(Bucket::level) }
    }

    /// Returns the gauges. The requests are those of the minute, or else of the second, or else of the day.
    pub(super) fn gauges(&self, now: Instant) -> Gauges {
        let day = self.day.as_ref().map(|day| day.gauge(now));
        let requests = self.minute.as_ref().or(self.second.as_ref()).map(Bucket::gauge);
        Gauges { requests: requests.or(day), tokens: self.tokens.as_ref().map(Bucket::gauge), day }
    }
}

/// Returns a refusal with this wait. A wait of zero is no refusal, and `None` is a wait without an end.
fn refuse_unless_zero(dimension: SimDimension, wait: Option<Duration>) -> Result<(), Refusal> {
    match wait {
        Some(Duration::ZERO) => Ok(()),
        retry_after => Err(Refusal::RateLimited { dimension, retry_after }),
    }
}
