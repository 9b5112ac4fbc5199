//! Counts calls against limits, one lane a model.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Bucket;
use super::limits::{Limits, Pace};
use super::refusal::{Dimension, Refusal};

/// Lanes a meter keeps; when one more is needed, all of them start again, full.
const MAX_LANES: usize = 256;

#[derive(Debug)]
pub(super) struct Meter {
    limits: Limits,
    by_model: HashMap<String, Limits>,
    lanes: HashMap<String, Lane>,
    pace: Pace,
}

#[derive(Debug)]
struct Lane {
    second: Option<Bucket>,
    minute: Option<Bucket>,
    tokens: Option<Bucket>,
    day: Option<Day>,
}

#[derive(Debug)]
struct Day {
    limit: u32,
    /// Never more than `limit`.
    used: u32,
    ends: Instant,
    length: Duration,
}

/// One limit as a header shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gauge {
    pub(super) limit: u64,
    pub(super) remaining: u64,
    pub(super) full_in: Duration,
}

/// What a meter says about a model; `None` where it does not count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    pub(super) requests: Option<Gauge>,
    pub(super) tokens: Option<Gauge>,
    pub(super) day: Option<Gauge>,
}

// === impl Meter ===

impl Meter {
    pub(super) fn new(limits: Limits, by_model: HashMap<String, Limits>, pace: Pace) -> Self {
        Self { limits, by_model, lanes: HashMap::new(), pace }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.lanes.clear();
    }

    pub(super) fn set_model_limits(&mut self, model: &str, limits: Limits) {
        self.by_model.insert(model.to_owned(), limits);
        self.lanes.clear();
    }

    pub(super) fn new_day(&mut self) {
        for day in self.lanes.values_mut().filter_map(|lane| lane.day.as_mut()) {
            day.used = 0;
        }
    }

    /// Whether the call fits; takes nothing.
    pub(super) fn check(&mut self, model: &str, tokens: u64, now: Instant) -> Result<(), Refusal> {
        self.lane(model, now).check(tokens as f64)
    }

    pub(super) fn charge(&mut self, model: &str, tokens: u64, now: Instant) {
        self.lane(model, now).charge(tokens as f64);
    }

    pub(super) fn standing(&mut self, model: &str, now: Instant) -> Standing {
        self.lane(model, now).standing(now)
    }

    fn lane(&mut self, model: &str, now: Instant) -> &mut Lane {
        let own = self.by_model.get(model).copied();
        let limits = own.unwrap_or(self.limits);
        let name = if own.is_none() && limits.together { "" } else { model };
        if self.lanes.len() >= MAX_LANES && !self.lanes.contains_key(name) {
            self.lanes.clear();
        }
        let pace = self.pace;
        let lane = self.lanes.entry(name.to_owned()).or_insert_with(|| Lane::new(limits, pace, now));
        lane.refill(now);
        lane
    }
}

// === impl Lane ===

impl Lane {
    fn new(limits: Limits, pace: Pace, now: Instant) -> Self {
        let requests = |amount: u32, period| Bucket::new(limits.burst.unwrap_or(amount), amount, period, now);
        Self {
            second: limits.requests_per_second.map(|amount| requests(amount, pace.second())),
            minute: limits.requests_per_minute.map(|amount| requests(amount, pace.minute)),
            tokens: limits.tokens_per_minute.map(|amount| Bucket::new(amount, amount, pace.minute, now)),
            day: limits.requests_per_day.map(|limit| Day {
                limit,
                used: 0,
                ends: now + pace.day,
                length: pace.day,
            }),
        }
    }

    fn refill(&mut self, now: Instant) {
        for bucket in [&mut self.second, &mut self.minute, &mut self.tokens].into_iter().flatten() {
            bucket.refill(now);
        }
        if let Some(day) = self.day.as_mut().filter(|day| day.ends <= now) {
            day.used = 0;
            day.ends = now + day.length;
        }
    }

    fn check(&self, tokens: f64) -> Result<(), Refusal> {
        if let Some(day) = self.day.as_ref().filter(|day| day.used >= day.limit) {
            return Err(day.refusal());
        }
        for bucket in [&self.second, &self.minute].into_iter().flatten() {
            refuse_unless_zero(Dimension::Requests, bucket.wait_for(1.0))?;
        }
        let Some(bucket) = &self.tokens else { return Ok(()) };
        match bucket.wait_for(tokens) {
            None => Err(Refusal::LargerThanLimit),
            wait => refuse_unless_zero(Dimension::Tokens, wait),
        }
    }

    fn charge(&mut self, tokens: f64) {
        for bucket in [&mut self.second, &mut self.minute].into_iter().flatten() {
            bucket.take(1.0);
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens);
        }
        if let Some(day) = &mut self.day {
            day.used = day.limit.min(day.used.saturating_add(1));
        }
    }

    fn standing(&self, now: Instant) -> Standing {
        let day = self.day.as_ref().map(|day| day.gauge(now));
        let requests = self.minute.as_ref().or(self.second.as_ref()).map(Bucket::gauge);
        Standing { requests: requests.or(day), tokens: self.tokens.as_ref().map(Bucket::gauge), day }
    }
}

fn refuse_unless_zero(dimension: Dimension, wait: Option<Duration>) -> Result<(), Refusal> {
    match wait {
        Some(Duration::ZERO) => Ok(()),
        retry_after => Err(Refusal::RateLimited { dimension, retry_after }),
    }
}

impl Bucket {
    fn gauge(&self) -> Gauge {
        Gauge { limit: self.burst(), remaining: self.remaining(), full_in: self.until_full() }
    }
}

// === impl Day ===

impl Day {
    fn refusal(&self) -> Refusal {
        Refusal::RateLimited { dimension: Dimension::Day, retry_after: None }
    }

    fn gauge(&self, now: Instant) -> Gauge {
        let full_in = self.ends.saturating_duration_since(now);
        Gauge { limit: u64::from(self.limit), remaining: u64::from(self.limit - self.used), full_in }
    }
}

// === impl Standing ===

impl Standing {
    /// For each limit the gauge with less left.
    pub(super) fn tighter(self, other: Self) -> Self {
        Self {
            requests: less(self.requests, other.requests),
            tokens: less(self.tokens, other.tokens),
            day: less(self.day, other.day),
        }
    }
}

fn less(one: Option<Gauge>, other: Option<Gauge>) -> Option<Gauge> {
    one.into_iter().chain(other).min_by_key(|gauge| gauge.remaining)
}
