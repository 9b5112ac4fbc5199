//! A window that starts anew at a time.

use std::sync::Arc;

use super::Zone;
use crate::clock::Moment;
use crate::provider::Window;

pub(super) const US_PER_S: u64 = 1_000_000;

/// The longest time for which what headers say closes a scope, in microseconds: one day. Then it is tried.
pub(super) const LONGEST_US: u64 = 24 * 60 * 60 * US_PER_S;

/// Starts anew at a time.
#[derive(Debug)]
pub(super) struct Period {
    pub(super) size: u64,
    pub(super) used: u64,
    /// In microseconds since the Unix epoch, like `ends`: what was taken before is not given back here.
    pub(super) began: u64,
    pub(super) ends: u64,
    pub(super) anew: Anew,
}

/// When a period ends.
#[derive(Clone, Debug)]
pub(super) enum Anew {
    Aligned,
    Midnight(Arc<Zone>),
    /// When a header says; until one does, a window after the last, but no later than in [`LONGEST_US`].
    Told,
}

// === impl Period ===

impl Period {
    /// Whether an operator allows nothing. What a header says is over with its reset, and then tried.
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

/// The length of a window in microseconds.
pub(super) fn us_of(window: Window) -> f64 {
    window.length().as_secs_f64() * US_PER_S as f64
}
