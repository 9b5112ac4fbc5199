//! A window that resets at a fixed time.

use std::sync::Arc;

use crate::clock::Moment;
use crate::limits::Zone;
use crate::provider::Window;

/// The unit of corrections, in microseconds. It is fine enough for a rate, and the two billion units of a
/// counter cover more than a day.
pub(in crate::limits) const CORRECTION_US: i64 = 64;

pub(in crate::limits) const US_PER_S: u64 = 1_000_000;

#[cfg(feature = "redis")]
pub(in crate::limits) const US_PER_MS: u64 = 1_000;

/// Maximum time for which headers close a scope: one day, in microseconds. After that, a request tries the
/// scope.
pub(in crate::limits) const LONGEST_US: u64 = 24 * 60 * 60 * US_PER_S;

/// A window that resets at a fixed time.
#[derive(Debug)]
pub(in crate::limits) struct WindowState {
    pub(in crate::limits) size: u64,
    pub(in crate::limits) used: u64,
    /// The part of `used` that other processes took, or reserve.
    pub(in crate::limits) others: u64,
    /// The start of the window, in microseconds since the Unix epoch, like `ends`. Amounts that were taken
    /// before are not given back to this window.
    pub(in crate::limits) began: u64,
    pub(in crate::limits) ends: u64,
    pub(in crate::limits) reset: WindowReset,
}

/// The rule that decides when a window ends.
#[derive(Clone, Debug)]
pub(in crate::limits) enum WindowReset {
    Aligned,
    Midnight(Arc<Zone>),
    /// At the reset that a header names. Until a header names one, a window's length after the last reset,
    /// but at most [`LONGEST_US`].
    Stated,
}

// === impl WindowState ===

impl WindowState {
    /// Returns whether an operator allows nothing at all. A limit of zero from a header ends with its reset,
    /// and is tried then.
    pub(in crate::limits) const fn is_shut(&self) -> bool {
        self.size == 0 && !matches!(self.reset, WindowReset::Stated)
    }

    pub(in crate::limits) const fn has_room_for(&self, amount: u64) -> bool {
        self.used == 0 || self.used.saturating_add(amount) <= self.size
    }

    /// Forgets all counts. The window begins now.
    pub(in crate::limits) const fn restart(&mut self, now: u64) {
        (self.began, self.used, self.others) = (now, 0, 0);
    }
}

// === impl WindowReset ===

impl WindowReset {
    pub(in crate::limits) fn end_after(&self, now: Moment, window: u32) -> u64 {
        let length = u64::from(window.max(1)) * US_PER_S;
        match self {
            Self::Aligned => (now.as_unix_us() / length + 1).saturating_mul(length),
            Self::Midnight(zone) => Moment::from(zone.next_midnight(now.into())).as_unix_us(),
            Self::Stated => now.as_unix_us().saturating_add(length.min(LONGEST_US)),
        }
    }
}

/// Returns the length of a window in microseconds.
pub(in crate::limits) fn us_of(window: Window) -> f64 {
    window.length().as_secs_f64() * US_PER_S as f64
}

/// Clamps a count to 32 bits. Limits beyond four billion are as good as unlimited here.
pub(in crate::limits) fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
