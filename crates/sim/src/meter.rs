//! Counts calls against limits, with one lane for each model.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Bucket;
use super::day::Day;
use super::limits::{Limits, Pace};
use super::refusal::{Refusal, SimDimension};

/// Maximum number of lanes. If one more is needed, all lanes are dropped and start again, full.
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

/// One limit as headers show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gauge {
    pub(super) limit: u64,
    pub(super) remaining: u64,
    pub(super) full_in: Duration,
}

/// How much a key or an account may use now, by its limits. A field is `None` if there is no such limit.
///
/// Amounts are fractional: a part of a request is one that the bucket is refilling. A bucket allows over some
/// time what it holds now and what it refills in that time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Headroom {
    /// Number of requests that the tightest of the request limits allows.
    pub requests: Option<f64>,
    /// Number of tokens, of requests and responses together.
    pub tokens: Option<f64>,
}

/// The gauges of one model. A field is `None` where the meter has no limit.
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
            day.begin_anew();
        }
    }

    pub(super) fn headroom(&mut self, model: &str, now: Instant) -> Headroom {
        self.lane(model, now).headroom()
    }

    /// Checks whether the call fits. Takes nothing.
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
            day: limits.requests_per_day.map(|limit| Day::new(limit, pace, now)),
        }
    }

    fn refill(&mut self, now: Instant) {
        for bucket in [&mut self.second, &mut self.minute, &mut self.tokens].into_iter().flatten() {
            bucket.refill(now);
        }
        if let Some(day) = &mut self.day {
            day.refill(now);
        }
    }

    fn check(&self, tokens: f64) -> Result<(), Refusal> {
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

    fn charge(&mut self, tokens: f64) {
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

    fn headroom(&self) -> Headroom {
        let requests = [&self.second, &self.minute].into_iter().flatten().map(Bucket::level);
        let requests = requests.chain(self.day.as_ref().map(Day::left)).reduce(f64::min);
        Headroom { requests, tokens: self.tokens.as_ref().map(Bucket::level) }
    }

    fn standing(&self, now: Instant) -> Standing {
        let day = self.day.as_ref().map(|day| day.gauge(now));
        let requests = self.minute.as_ref().or(self.second.as_ref()).map(Bucket::gauge);
        Standing { requests: requests.or(day), tokens: self.tokens.as_ref().map(Bucket::gauge), day }
    }
}

fn refuse_unless_zero(dimension: SimDimension, wait: Option<Duration>) -> Result<(), Refusal> {
    match wait {
        Some(Duration::ZERO) => Ok(()),
        retry_after => Err(Refusal::RateLimited { dimension, retry_after }),
    }
}

// === impl Standing ===

impl Standing {
    /// Returns, for each limit, the gauge with less remaining.
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
