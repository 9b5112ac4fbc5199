//! Cooldown durations.
//!
//! The provider's own wait counts, but within bounds: waits of eighteen days have been seen, for a quota that
//! came back within the hour. So the wait is clamped. When the cooldown ends, one request probes the scope,
//! which costs little if the provider was right. Without a wait from the provider, the cooldown doubles with
//! each failure in a row. Up to a quarter is added at random, so that many processes do not come back
//! together.
//!
//! A scope that was serving requests a moment ago is tried earlier than that, by single requests, because it
//! may have a limit that allows only a certain distance between two requests (see `search` of the limits).
//!
//! A wait of less than a second that a known limit explains only corrects the rate of requests: nothing has
//! to recover, and the response to a probe would take longer than the wait (see `spacing`).

use std::time::Duration;

use crate::classify::{Fault, Reason};
use crate::clock::Timestamp;
use crate::pool::scope::slot::{Cause, FOREVER};

/// An exponential backoff: `base`, twice that, four times that, and so on, up to `max`.
///
/// Up to a quarter of each wait is added at random.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::pool::{Backoff, Cooldowns};
///
/// // Rate limits without a wait from the provider: 5 s, 10 s, 20 s, 30 s, 30 s, …
/// let backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(30));
/// let cooldowns = Cooldowns::default().rate(backoff);
/// # let _ = cooldowns;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The wait after the first failure, before jitter.
    pub base: Duration,
    /// Upper bound, before jitter.
    pub max: Duration,
}

/// Durations of cooldowns, by reason.
///
/// A wait that the provider names counts, up to a cap. Without one, the cooldown grows with each failure in a
/// row. An invalid key is in cooldown until it is replaced or [reset](crate::pool::KeyPool::reset).
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
    /// Default backoff of rate limits without a wait from the provider: 1 s, doubling up to 60 s.
    pub const RATE: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    /// Default backoff of used-up quotas without a wait from the provider: 1 h, doubling up to 24 h.
    pub const QUOTA: Backoff = Backoff::new(HOUR, DAY);
    /// Default backoff of forbidden requests without a wait from the provider: 1 h, doubling up to 24 h.
    pub const FORBIDDEN: Backoff = Backoff::new(HOUR, DAY);
    /// Default cap on a provider's wait for a rate limit: 10 min.
    pub const RATE_CLAMP: Duration = Duration::from_secs(10 * 60);
    /// Default cap on a provider's wait for a used-up quota: 24 h.
    pub const QUOTA_CLAMP: Duration = DAY;

    /// Default maximum number of concurrent leases during the slow start after a cooldown: 64.
    pub const RAMP: u16 = 64;

    /// Sets the backoff of rate limits without a wait from the provider. Default: [`RATE`](Self::RATE).
    ///
    /// It begins when the shorter waits do not help that follow the refusal of a key that was serving: twice
    /// the time since it was last served, at least 5 ms, at least doubled by each refusal in a row, and less
    /// than a second. They count as no failure.
    #[must_use]
    pub const fn rate(mut self, backoff: Backoff) -> Self {
        self.rate = backoff;
        self
    }

    /// Sets the backoff of used-up quotas without a wait from the provider. Default: [`QUOTA`](Self::QUOTA).
    #[must_use]
    pub const fn quota(mut self, backoff: Backoff) -> Self {
        self.quota = backoff;
        self
    }

    /// Sets the backoff of forbidden requests without a wait from the provider. Default:
    /// [`FORBIDDEN`](Self::FORBIDDEN).
    #[must_use]
    pub const fn forbidden(mut self, backoff: Backoff) -> Self {
        self.forbidden = backoff;
        self
    }

    /// Sets the cap on a provider's wait for a rate limit. Default: [`RATE_CLAMP`](Self::RATE_CLAMP).
    #[must_use]
    pub const fn rate_clamp(mut self, max: Duration) -> Self {
        self.rate_clamp = max;
        self
    }

    /// Sets the cap on a provider's wait for a used-up quota or a forbidden request. Default:
    /// [`QUOTA_CLAMP`](Self::QUOTA_CLAMP).
    #[must_use]
    pub const fn quota_clamp(mut self, max: Duration) -> Self {
        self.quota_clamp = max;
        self
    }

    /// Sets one duration for every rate limit and used-up quota. Waits from the provider and failures in a
    /// row have no effect on it. Forbidden and invalid keys are not affected. Default: none.
    #[must_use]
    pub const fn fixed(mut self, wait: Duration) -> Self {
        self.fixed = Some(wait);
        self
    }

    /// Sets the maximum number of concurrent leases during the slow start after a rate limit or quota. A
    /// recovered scope takes two leases at first, and twice as many with each success. Above this number,
    /// leases are unlimited again. Values below two disable the slow start. Default: [`RAMP`](Self::RAMP).
    #[must_use]
    pub const fn ramp(mut self, leases: u16) -> Self {
        self.ramp = leases;
        self
    }

    pub(in crate::pool) const fn last_on_ramp(&self) -> u16 {
        self.ramp
    }

    /// Returns whether all rate limits have one duration.
    pub(in crate::pool) const fn is_fixed(&self) -> bool {
        self.fixed.is_some()
    }

    /// Returns the end of a cooldown that begins at `now`, after `strikes` failures in a row, in milliseconds
    /// since the Unix epoch. [`FOREVER`] means no end.
    pub(crate) fn until(&self, cause: Cause, hint: Option<Duration>, strikes: u8, now: Timestamp) -> u64 {
        let wait = match cause {
            Cause::Invalid => return FOREVER,
            Cause::Forbidden => {
                hint.map_or_else(|| self.forbidden.wait(strikes), |hint| hint.min(self.quota_clamp))
            }
            Cause::RateLimited | Cause::Guessed | Cause::Paced | Cause::Forced => {
                self.limited(self.rate, self.rate_clamp, hint, strikes)
            }
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
    /// Creates a backoff: `base` after the first failure, doubled by each further failure in a row, up to
    /// `max`. A `max` below `base` applies from the first failure on.
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
    /// Returns the cause of the cooldown that a fault puts a key or an account into. A fault of the provider
    /// that a classifier attributed to a key counts as a limit that clears soon.
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

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
