//! How long a scope is benched.
//!
//! What the provider says counts, but not without bounds: eighteen days have been seen, for a quota that
//! came back within the hour. So a hint is clamped, and when it ends the scope is probed by one request,
//! which costs little if the provider was right. Without a hint the time doubles with each failure in a
//! row, and up to a quarter is added by chance, so that many processes do not come back together.
//!
//! A wait of less than a second that a known limit explains is no bench in that sense but a correction of the
//! pace: nothing has to recover, and waiting for a probe's answer would take longer (see `spacing`).

use std::time::Duration;

use super::slot::{Cause, FOREVER};
use crate::classify::{Fault, Reason};
use crate::clock::Timestamp;

/// Growing times: `base`, twice that, four times, … up to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// After the first failure.
    pub base: Duration,
    /// Upper bound, before jitter.
    pub max: Duration,
}

/// How long scopes are benched, by reason.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::pool::Cooldowns;
///
/// // Every rate limit and every quota lasts a quarter of an hour, whatever the provider says.
/// let fixed = Cooldowns::default().fixed(Duration::from_secs(15 * 60));
/// # let _ = fixed;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cooldowns {
    rate: Backoff,
    quota: Backoff,
    forbidden: Backoff,
    rate_clamp: Duration,
    quota_clamp: Duration,
    fixed: Option<Duration>,
    ramp: u16,
}

// === impl Cooldowns ===

impl Cooldowns {
    /// Rate limit without a hint: 1 s doubling to 60 s.
    pub const RATE: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    /// Quota without a hint: 1 h doubling to 24 h.
    pub const QUOTA: Backoff = Backoff::new(HOUR, DAY);
    /// Forbidden: 1 h doubling to 24 h.
    pub const FORBIDDEN: Backoff = Backoff::new(HOUR, DAY);
    /// The longest hint believed of a rate limit: 10 min.
    pub const RATE_CLAMP: Duration = Duration::from_secs(10 * 60);
    /// The longest hint believed of a quota: 24 h.
    pub const QUOTA_CLAMP: Duration = DAY;

    /// The most leases at a time that are counted after a probe: 64.
    pub const RAMP: u16 = 64;

    /// Times of a rate limit without a hint. Default: [`RATE`](Self::RATE).
    #[must_use]
    pub const fn rate(mut self, backoff: Backoff) -> Self {
        self.rate = backoff;
        self
    }

    /// Times of a used-up quota without a hint. Default: [`QUOTA`](Self::QUOTA).
    #[must_use]
    pub const fn quota(mut self, backoff: Backoff) -> Self {
        self.quota = backoff;
        self
    }

    /// Times of what a key may not do. Default: [`FORBIDDEN`](Self::FORBIDDEN).
    #[must_use]
    pub const fn forbidden(mut self, backoff: Backoff) -> Self {
        self.forbidden = backoff;
        self
    }

    /// The longest hint believed of a rate limit. Default: [`RATE_CLAMP`](Self::RATE_CLAMP).
    #[must_use]
    pub const fn rate_clamp(mut self, max: Duration) -> Self {
        self.rate_clamp = max;
        self
    }

    /// The longest hint believed of a quota. Default: [`QUOTA_CLAMP`](Self::QUOTA_CLAMP).
    #[must_use]
    pub const fn quota_clamp(mut self, max: Duration) -> Self {
        self.quota_clamp = max;
        self
    }

    /// One time for every rate limit and quota, hints and failures in a row notwithstanding.
    /// Default: none.
    #[must_use]
    pub const fn fixed(mut self, wait: Duration) -> Self {
        self.fixed = Some(wait);
        self
    }

    /// What recovers from a limit takes two leases at a time at first and twice as many with each success,
    /// up to so many; more than that are not counted any more. Zero: none are. Default:
    /// [`RAMP`](Self::RAMP).
    #[must_use]
    pub const fn ramp(mut self, leases: u16) -> Self {
        self.ramp = leases;
        self
    }

    pub(super) const fn last_on_ramp(&self) -> u16 {
        self.ramp
    }

    /// Whether a wait is too short for anything to recover: less than a second, unless all waits are fixed.
    pub(super) fn is_brief(&self, wait: Duration) -> bool {
        wait < BRIEF && self.fixed.is_none()
    }

    /// When a bench that begins at `now` ends, after so many failures in a row.
    pub(crate) fn until(&self, cause: Cause, hint: Option<Duration>, strikes: u8, now: Timestamp) -> u64 {
        let wait = match cause {
            Cause::Invalid => return FOREVER,
            Cause::Forbidden => {
                hint.map_or_else(|| self.forbidden.wait(strikes), |hint| hint.min(self.quota_clamp))
            }
            Cause::RateLimited | Cause::Paced => self.limited(self.rate, self.rate_clamp, hint, strikes),
            Cause::QuotaExceeded => self.limited(self.quota, self.quota_clamp, hint, strikes),
        };
        now.saturating_add(wait).as_unix_ms()
    }

    fn limited(&self, backoff: Backoff, clamp: Duration, hint: Option<Duration>, strikes: u8) -> Duration {
        match (self.fixed, hint) {
            (Some(fixed), _) => fixed,
            (None, Some(hint)) => hint.min(clamp),
            (None, None) => backoff.wait(strikes),
        }
    }
}

impl Default for Cooldowns {
    fn default() -> Self {
        Self {
            rate: Self::RATE,
            quota: Self::QUOTA,
            forbidden: Self::FORBIDDEN,
            rate_clamp: Self::RATE_CLAMP,
            quota_clamp: Self::QUOTA_CLAMP,
            fixed: None,
            ramp: Self::RAMP,
        }
    }
}

// === impl Backoff ===

impl Backoff {
    /// `base` after the first failure, doubled by each further failure in a row, up to `max`. A `max` below
    /// `base` holds from the first failure on.
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max }
    }

    fn wait(&self, strikes: u8) -> Duration {
        let factor = 1_u32.checked_shl(strikes.into()).unwrap_or(u32::MAX);
        let wait = self.base.saturating_mul(factor).min(self.max);
        wait.saturating_add(wait.mul_f64(fastrand::f64() / 4.0))
    }
}

// === impl Cause ===

impl Cause {
    /// Why a fault benches a key or an account; a provider's fault that a classifier pinned on a key
    /// counts as a limit that clears soon.
    pub(crate) const fn of(fault: &Fault) -> Self {
        match fault.reason() {
            Reason::QuotaExceeded => Self::QuotaExceeded,
            Reason::InvalidKey => Self::Invalid,
            Reason::Forbidden | Reason::Blocked => Self::Forbidden,
            Reason::RateLimited
            | Reason::Overloaded
            | Reason::ServerError
            | Reason::Timeout
            | Reason::Truncated
            | Reason::Unreachable => Self::RateLimited,
        }
    }
}

const BRIEF: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
