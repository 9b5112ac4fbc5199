//! The link between the limits of a pool and the store that shares them.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::clock::Moment;

/// The link between the limits of a pool and the store that shares them.
#[derive(Debug)]
pub(crate) struct Sharing {
    /// The time until which granted amounts may be taken, in microseconds since the Unix epoch. The store gives
    /// them to others later than that.
    valid_until: AtomicU64,
    /// Number of instances that share the limits, this one included.
    instances: AtomicU64,
    /// Number of equal parts of which this instance may take one without a grant; zero for none.
    parts: AtomicU64,
    /// Notified when an allotment is low.
    needed: Notify,
}

// === impl Sharing ===

impl Sharing {
    /// Returns whether granted amounts may be taken at this time.
    pub(in crate::limits) fn is_valid(&self, now: Moment) -> bool {
        now.as_unix_us() <= self.valid_until.load(Ordering::Relaxed)
    }

    /// Sets the time until which granted amounts may be taken.
    pub(crate) fn extend(&self, until: Moment) {
        self.valid_until.store(until.as_unix_us(), Ordering::Relaxed);
    }

    /// Sets the number of instances, and the number of equal parts of which this one may take one without a grant.
    pub(crate) fn set_instances(&self, instances: u64, parts: u64) {
        self.instances.store(instances.max(1), Ordering::Relaxed);
        self.parts.store(parts, Ordering::Relaxed);
    }

    /// Returns the number of instances, at least one.
    pub(crate) fn instances(&self) -> u64 {
        self.instances.load(Ordering::Relaxed)
    }

    /// Asks for a demand, because an allotment is low.
    pub(in crate::limits) fn call(&self) {
        self.needed.notify_one();
    }

    /// Waits until an allotment is low.
    pub(crate) async fn needed(&self) {
        self.needed.notified().await;
    }

    /// Lets each instance take an equal part without a grant.
    pub(crate) fn go_alone(&self) {
        self.valid_until.store(u64::MAX, Ordering::Relaxed);
        self.parts.store(self.instances(), Ordering::Relaxed);
    }

    /// Returns the part of an amount that this instance may take without a grant.
    pub(in crate::limits) fn part_of(&self, amount: u64) -> u64 {
        amount.checked_div(self.parts.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

impl Default for Sharing {
    fn default() -> Self {
        Self { valid_until: u64::MAX.into(), instances: 1.into(), parts: 0.into(), needed: Notify::new() }
    }
}
