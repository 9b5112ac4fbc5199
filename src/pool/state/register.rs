//! Registers: the values of a pool's state.

use crate::pool::scope::slot::{Cause, FOREVER};

/// A few numbers that only grow, compared from the first one on. Merging takes the larger register.
///
/// The names of the numbers are those of the [`Field`](crate::pool::state::field::Field). Unused ones are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Register(pub(crate) [u64; 5]);

/// The register of a scope's cooldown, with its times in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pool) struct SavedCooldown {
    /// The time of the last regular end that was no passing of time: an operator's reset, or a probe's
    /// success. Zero means that there was none.
    pub(in crate::pool) generation: u64,
    /// The end of the cooldown; [`FOREVER`] for an invalid key.
    pub(in crate::pool) until: u64,
    /// `None` means that the cooldown has ended early.
    pub(in crate::pool) cause: Option<Cause>,
    pub(in crate::pool) strikes: u8,
    /// The time at which it began.
    pub(in crate::pool) since: u64,
}

/// The register of an amount that one process has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pool) struct SavedCount {
    /// The time of the last reset by an operator.
    pub(in crate::pool) generation: u64,
    /// The end of the window; zero for a bucket.
    pub(in crate::pool) ends: u64,
    /// The number of changes so far.
    pub(in crate::pool) version: u64,
    /// The amount: within the window, or ever taken from the bucket, modulo 2³².
    pub(in crate::pool) used: u64,
    /// The time at which the bucket is full.
    pub(in crate::pool) full_at: u64,
}

/// The last order of an operator about the use of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Switch {
    Enabled,
    Disabled,
    /// Disabled, with an announcement when the last request has ended.
    Drained,
}

/// The register of a cooldown that an operator has ordered.
///
/// The end counts before the time of the order, so that of two orders that cross on their way the longer one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pool) struct SavedOrder {
    /// The time of the last reset by an operator that the order follows.
    pub(in crate::pool) generation: u64,
    /// The end of the cooldown.
    pub(in crate::pool) until: u64,
    /// The time of the order.
    pub(in crate::pool) since: u64,
}

/// The texts of causes, by number.
pub(in crate::pool) const CAUSES: [&str; 7] =
    ["none", "rate_limited", "quota_exceeded", "invalid_key", "forbidden", "paced", "guessed"];

// === impl SavedCooldown ===

impl SavedCooldown {
    /// Returns whether the scope is out at `now`.
    pub(in crate::pool) const fn is_on(&self, now: u64) -> bool {
        self.cause.is_some() && self.until > now
    }
}

impl From<Register> for SavedCooldown {
    /// A register that another process has garbled gives no endless cooldown, except of an invalid key.
    fn from(Register([generation, until, cause, strikes, since]): Register) -> Self {
        let cause = match cause {
            1 => Some(Cause::RateLimited),
            2 => Some(Cause::QuotaExceeded),
            3 => Some(Cause::Invalid),
            4 => Some(Cause::Forbidden),
            6 => Some(Cause::Guessed),
            _ => None,
        };
        let last = if cause == Some(Cause::Invalid) { FOREVER } else { FOREVER - 1 };
        let strikes = u8::try_from(strikes.min(31)).unwrap_or(0);
        Self { generation, until: until.min(last), cause, strikes, since }
    }
}

impl From<SavedCooldown> for Register {
    fn from(saved: SavedCooldown) -> Self {
        let SavedCooldown { generation, until, cause, strikes, since } = saved;
        Self([generation, until, cause.map_or(0, |cause| cause as u64), strikes.into(), since])
    }
}

// === impl SavedOrder ===

impl SavedOrder {
    /// Returns whether the order holds at `now`, although the key was reset at `reset`.
    pub(in crate::pool) const fn holds(&self, reset: u64, now: u64) -> bool {
        self.until > now && (self.generation >= reset || self.since > reset)
    }
}

impl From<Register> for SavedOrder {
    /// A register that another process has garbled gives no endless cooldown.
    fn from(Register([generation, until, since, ..]): Register) -> Self {
        Self { generation, until: until.min(FOREVER - 1), since }
    }
}

impl From<SavedOrder> for Register {
    fn from(SavedOrder { generation, until, since }: SavedOrder) -> Self {
        Self([generation, until, since, 0, 0])
    }
}

// === impl SavedCount ===

impl From<Register> for SavedCount {
    fn from(Register([generation, ends, version, used, full_at]): Register) -> Self {
        Self { generation, ends, version, used, full_at }
    }
}

impl From<SavedCount> for Register {
    fn from(SavedCount { generation, ends, version, used, full_at }: SavedCount) -> Self {
        Self([generation, ends, version, used, full_at])
    }
}
