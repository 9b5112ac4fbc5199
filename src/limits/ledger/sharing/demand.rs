//! The conversation of an instance with the store that shares its limits: demands, and grants.

use crate::clock::Moment;

/// The limit of an allotment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitShape {
    pub(crate) size: u64,
    /// The time in which one unit comes back, in microseconds; zero for a limit that resets.
    pub(crate) interval: f64,
}

/// The demand of an instance for one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) serial: u32,
    pub(in crate::limits) epoch: u32,
    /// Whether it is for the next window.
    pub(crate) is_next: bool,
    /// The amount spent in this window, or ever.
    pub(crate) spent: i64,
    /// The amount spent lately: the most that is likely to be spent before the next demand.
    pub(crate) recent: u64,
    /// The unspent amount that the instance keeps. It returns the rest of what it held.
    pub(crate) kept: u64,
    /// The smallest amount to hold that is of use.
    pub(crate) least: u64,
    /// The amount to hold.
    pub(crate) wanted: u64,
}

/// The state of the other instances, as far as one limit is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Others {
    /// Nothing is known to be lacking.
    #[default]
    Content,
    /// One has less than an equal part.
    Uneven,
    /// One lacks something although no other has more than an equal part.
    Hungry,
    /// This instance leaves them.
    Left,
}

/// The response of a store to a [`Demand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The unspent amount that the instance holds now.
    pub(crate) held: u64,
    /// The amount that no instance has spent.
    pub(crate) left: u64,
    /// The part of it that no instance holds.
    pub(crate) free: u64,
}

/// The amount taken lately: each amount counts less by half every 350 ms.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::limits) struct RecentUse {
    amount: f64,
    /// The time of the last look, in microseconds since the Unix epoch.
    at: u64,
    spent: i64,
}

/// Time constant of recent use, in microseconds: 0.5 s.
const RECENT_US: f64 = 5e5;

/// Amount below which recent use counts as none.
const LEAST_RECENT: f64 = 0.25;

// === impl RecentUse ===

impl RecentUse {
    pub(in crate::limits) fn new(spent: i64) -> Self {
        Self { spent, ..Self::default() }
    }

    /// Begins to count from zero.
    pub(in crate::limits) const fn restart(&mut self) {
        self.spent = 0;
    }

    /// Returns the amount taken lately. `spent` is the amount taken so far.
    pub(in crate::limits) fn look(&mut self, spent: i64, now: Moment) -> f64 {
        let passed = now.as_unix_us().saturating_sub(self.at) as f64;
        let more = spent.saturating_sub(self.spent).max(0);
        self.amount = self.amount * (-passed / RECENT_US).exp() + more as f64;
        (self.at, self.spent) = (now.as_unix_us(), spent);
        if self.amount < LEAST_RECENT { 0.0 } else { self.amount }
    }
}
