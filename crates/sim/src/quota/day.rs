//! The daily quota of requests.

use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Bucket;
use super::gauge::Gauge;
use super::periods::Periods;
use crate::script::{Refusal, SimDimension};

/// The requests left of a daily quota.
#[derive(Debug)]
pub(super) enum Day {
    /// OpenAI's quota: a bucket that refills over a day, one request at a time. Of 10,000 a day, one request
    /// comes back every 8.64 s.
    Rolling(Bucket),
    /// Every other provider's quota: all requests come back when the day ends. A refusal states no wait.
    Fixed {
        limit: u32,
        /// Requests used, at most `limit`.
        used: u32,
        ends: Instant,
        length: Duration,
    },
}

/// Returns the end of a day, at most 30 years from `now`: a longer time could be too far for the clock.
fn after(now: Instant, length: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    now + length.min(FAR)
}

// === impl Day ===

impl Day {
    pub(super) fn new(limit: u32, periods: Periods, now: Instant) -> Self {
        if periods.rolling_days {
            return Self::Rolling(Bucket::new(limit, limit, periods.day, now));
        }
        Self::Fixed { limit, used: 0, ends: after(now, periods.day), length: periods.day }
    }

    pub(super) fn refill(&mut self, now: Instant) {
        match self {
            Self::Rolling(bucket) => bucket.refill(now),
            Self::Fixed { used, ends, length, .. } if *ends <= now => {
                *used = 0;
                *ends = after(now, *length);
            }
            Self::Fixed { .. } => {}
        }
    }

    /// Gives the whole quota back at once.
    pub(super) fn restore(&mut self) {
        match self {
            Self::Rolling(bucket) => bucket.fill(),
            Self::Fixed { used, .. } => *used = 0,
        }
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        let retry_after = match self {
            Self::Rolling(bucket) => bucket.wait_for(1.0),
            Self::Fixed { limit, used, .. } => (used < limit).then_some(Duration::ZERO),
        };
        match retry_after {
            Some(Duration::ZERO) => Ok(()),
            retry_after => Err(Refusal::RateLimited { dimension: SimDimension::Day, retry_after }),
        }
    }

    pub(super) fn charge(&mut self) {
        match self {
            Self::Rolling(bucket) => bucket.take(1.0),
            Self::Fixed { limit, used, .. } => *used = (*limit).min(used.saturating_add(1)),
        }
    }

    pub(super) fn left(&self) -> f64 {
        match self {
            Self::Rolling(bucket) => bucket.level(),
            Self::Fixed { limit, used, .. } => f64::from(limit - used),
        }
    }

    pub(super) fn gauge(&self, now: Instant) -> Gauge {
        match self {
            Self::Rolling(bucket) => bucket.gauge(),
            Self::Fixed { limit, used, ends, .. } => Gauge {
                limit: u64::from(*limit),
                remaining: u64::from(limit - used),
                full_in: ends.saturating_duration_since(now),
            },
        }
    }
}
