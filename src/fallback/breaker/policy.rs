//! When a breaker opens, and for how long.

use std::time::Duration;

use crate::clock::Timestamp;

/// When a chain stops asking a provider that is down, and for how long.
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
    /// Opens after this many faults of the provider in a row.
    pub const CONSECUTIVE: u32 = 5;

    /// Opens when this share of the recent calls failed …
    pub const PERCENT: u32 = 50;

    /// … of at least so many.
    pub const OF_CALLS: u32 = 20;

    /// What counts as recent.
    pub const WINDOW: Duration = Duration::from_secs(30);

    /// How long it stays open at first; twice as long after each probe that fails.
    pub const OPEN: Duration = Duration::from_secs(1);

    /// How long it stays open at most (15 s): a provider that is back is found within this, however long it was
    /// down. After a probe that took longer it stays open for as long as the probe took.
    pub const MAX_OPEN: Duration = Duration::from_secs(15);

    /// The policy with the values of the constants.
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

    /// A breaker that never opens.
    pub const fn disabled() -> Self {
        Self { enabled: false, ..Self::new() }
    }

    /// Opens after `faults` in a row; 0 counts as 1.
    #[must_use]
    pub const fn consecutive(mut self, faults: u32) -> Self {
        self.consecutive = if faults == 0 { 1 } else { faults };
        self
    }

    /// Opens when `percent` of at least `of_calls` within `window` failed; never for a share above 100.
    #[must_use]
    pub const fn share(mut self, percent: u32, of_calls: u32, window: Duration) -> Self {
        self.percent = if percent == 0 { 1 } else { percent };
        self.of_calls = if of_calls == 0 { 1 } else { of_calls };
        self.window = window;
        self
    }

    /// Stays open for `first`, and twice as long after each probe that fails, up to `max`.
    #[must_use]
    pub const fn open_for(mut self, first: Duration, max: Duration) -> Self {
        self.open = first;
        self.max_open = max;
        self
    }

    pub(super) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// How long it stays open when it has opened so often before.
    pub(super) fn open_time(&self, times: u32) -> Duration {
        self.open.saturating_mul(2_u32.saturating_pow(times)).min(self.max_open.max(self.open))
    }

    /// Which part of the window, of so many, a time lies in.
    pub(super) fn bucket(&self, now: Timestamp, parts: usize) -> u64 {
        let part = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX) / parts as u64;
        now.as_unix_ms() / part.max(1)
    }

    /// Whether so many faults in a row, or of recent calls, are too many.
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
