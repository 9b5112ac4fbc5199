//! A window that resets at a fixed time.

use std::sync::Arc;

use super::Zone;
use crate::clock::Moment;
use crate::provider::Window;

pub(super) const US_PER_S: u64 = 1_000_000;

/// Maximum time for which headers close a scope: one day, in microseconds. After that, a request tries the
/// scope.
pub(super) const LONGEST_US: u64 = 24 * 60 * 60 * US_PER_S;

/// A window that resets at a fixed time.
#[derive(Debug)]
pub(super) struct Period {
    pub(super) size: u64,
    pub(super) used: u64,
    /// The start of the window, in microseconds since the Unix epoch, like `ends`. Amounts that were taken
    /// before are not given back to this window.
    pub(super) began: u64,
    pub(super) ends: u64,
    pub(super) anew: Anew,
}

/// The rule that decides when a window ends.
#[derive(Clone, Debug)]
pub(super) enum Anew {
    Aligned,
    Midnight(Arc<Zone>),
    /// At the reset that a header names. Until a header names one, a window's length after the last reset,
    /// but at most [`LONGEST_US`].
    Told,
}

// === impl Period ===

impl Period {
    /// Returns whether an operator allows nothing at all. A limit of zero from a header ends with its reset,
    /// and is tried then.
    pub(super) const fn is_shut(&self) -> bool {
        self.size == 0 && !matches!(self.anew, Anew::Told)
    }

    pub(super) const fn has_room_for(&self, amount: u64) -> bool {
        self.used == 0 || self.used.saturating_add(amount) <= self.size
    }
}

// === impl Anew ===

impl Anew {
    pub(super) fn end_after(&self, now: Moment, window: u32) -> u64 {
        let length = u64::from(window.max(1)) * US_PER_S;
        match self {
            Self::Aligned => (now.as_unix_us() / length + 1).saturating_mul(length),
            Self::Midnight(zone) => Moment::from(zone.next_midnight(now.into())).as_unix_us(),
            Self::Told => now.as_unix_us().saturating_add(length.min(LONGEST_US)),
        }
    }
}

/// Returns the length of a window in microseconds.
pub(super) fn us_of(window: Window) -> f64 {
    window.length().as_secs_f64() * US_PER_S as f64
}
