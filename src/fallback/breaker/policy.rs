//! The policy by which a breaker opens and closes.

use std::time::Duration;

use crate::clock::Timestamp;

/// The policy of a link's circuit breaker: when a chain stops calling a provider that is down, and for how long.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::fallback::{BreakerPolicy, ProviderFallbackLayer};
///
/// // Opens after three faults in a row, for 2 s at first and for 30 s at most.
/// let policy = BreakerPolicy::new()
///     .consecutive(3)
///     .open_for(Duration::from_secs(2), Duration::from_secs(30));
/// let layer = ProviderFallbackLayer::<()>::new("openai").breaker(policy);
/// # drop(layer);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    enabled: bool,
    consecutive: u32,
    percent: u32,
    of_calls: u32,
    window: Duration,
    open: Duration,
    max_open: Duration,
}

// === impl BreakerPolicy ===

impl BreakerPolicy {
    /// Default number of the provider's faults in a row that open the breaker (5).
    pub const CONSECUTIVE: u32 = 5;

    /// Default share of failed calls that opens the breaker, in percent (50), if there were at least
    /// [`OF_CALLS`](Self::OF_CALLS) within [`WINDOW`](Self::WINDOW).
    pub const PERCENT: u32 = 50;

    /// Default minimum number of calls within [`WINDOW`](Self::WINDOW) for the share of failures to count (20).
    pub const OF_CALLS: u32 = 20;

    /// Default window in which calls count for the share of failures (30 s).
    pub const WINDOW: Duration = Duration::from_secs(30);

    /// Default time for which the breaker stays open at first (1 s). Each failed probe doubles it.
    pub const OPEN: Duration = Duration::from_secs(1);

    /// Default upper bound of the open time (15 s). A provider that is back is found within this time after the last
    /// probe has failed, however long it was down. After a probe that took longer, the breaker stays open for as long as
    /// the probe took.
    pub const MAX_OPEN: Duration = Duration::from_secs(15);

    /// Creates a policy with the default values.
    pub const fn new() -> Self {
        Self {
            enabled: true,
            consecutive: Self::CONSECUTIVE,
            percent: Self::PERCENT,
            of_calls: Self::OF_CALLS,
            window: Self::WINDOW,
            open: Self::OPEN,
            max_open: Self::MAX_OPEN,
        }
    }

    /// Creates a policy whose breaker never opens.
    pub const fn disabled() -> Self {
        Self { enabled: false, ..Self::new() }
    }

    /// Sets the number of faults in a row that open the breaker; 0 counts as 1. Default:
    /// [`CONSECUTIVE`](Self::CONSECUTIVE).
    #[must_use]
    pub const fn consecutive(mut self, faults: u32) -> Self {
        self.consecutive = if faults == 0 { 1 } else { faults };
        self
    }

    /// Sets the share of failed calls that opens the breaker: `percent` of at least `of_calls` calls within
    /// `window`. For both numbers 0 counts as 1, and a share above 100 never opens it. Default:
    /// [`PERCENT`](Self::PERCENT), [`OF_CALLS`](Self::OF_CALLS), [`WINDOW`](Self::WINDOW).
    #[must_use]
    pub const fn share(mut self, percent: u32, of_calls: u32, window: Duration) -> Self {
        self.percent = if percent == 0 { 1 } else { percent };
        self.of_calls = if of_calls == 0 { 1 } else { of_calls };
        self.window = window;
        self
    }

    /// Sets the time for which the breaker stays open at first, and the upper bound. Each failed probe doubles
    /// the time up to `max`. A `max` below `first` counts as `first`. Default: [`OPEN`](Self::OPEN),
    /// [`MAX_OPEN`](Self::MAX_OPEN).
    #[must_use]
    pub const fn open_for(mut self, first: Duration, max: Duration) -> Self {
        self.open = first;
        self.max_open = max;
        self
    }

    pub(super) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Returns the open time of a breaker that has opened `times` times in a row before.
    pub(super) fn open_time(&self, times: u32) -> Duration {
        self.open.saturating_mul(2_u32.saturating_pow(times)).min(self.max_open.max(self.open))
    }

    /// Returns the number of the bucket of a time, if the window has `parts` buckets.
    pub(super) fn bucket(&self, now: Timestamp, parts: usize) -> u64 {
        let part = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX) / parts as u64;
        now.as_unix_ms() / part.max(1)
    }

    /// Returns whether a number of faults in a row, or a share of recent calls, opens the breaker.
    pub(super) fn trips(&self, consecutive: u32, (calls, failed): (u64, u64)) -> bool {
        let share = failed.saturating_mul(100) >= calls.saturating_mul(u64::from(self.percent));
        consecutive >= self.consecutive || (calls >= u64::from(self.of_calls) && share)
    }
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self::new()
    }
}
