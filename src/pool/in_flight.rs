//! What a lease holds on to: its set of keys, and a place in the count of its key.

use std::ops::Deref;
use std::sync::Arc;

use super::key_set::KeySet;

/// One request in flight with a key: as long as this is held, it counts.
///
/// Stands for the set that it holds on to, so that a lease need not hold it a second time. That makes the
/// holders of a set, which are counted anyway, the requests in flight with all of its keys: see
/// [`KeySet::in_flight`].
pub(super) struct InFlight {
    set: Arc<KeySet>,
    key: usize,
    /// Another one counts in its place.
    handed_over: bool,
    /// It turned out to be no call.
    uncounted: bool,
}

// === impl InFlight ===

impl InFlight {
    pub(super) fn new(set: Arc<KeySet>, key: usize, now: u64) -> Self {
        set.keys[key].stats.called(now);
        Self { set, key, handed_over: false, uncounted: false }
    }

    /// The count goes on elsewhere; this one holds on to the set only.
    pub(super) fn hand_over(&mut self) -> Self {
        let handed_over = std::mem::replace(&mut self.handed_over, true);
        Self { set: Arc::clone(&self.set), key: self.key, handed_over, uncounted: self.uncounted }
    }

    /// Nothing was sent: that was no call of the key.
    pub(super) fn uncount(&mut self) {
        if !std::mem::replace(&mut self.uncounted, true) {
            self.set.keys[self.key].stats.uncalled();
        }
    }

    /// Whether another one counts in its place.
    pub(super) const fn is_handed_over(&self) -> bool {
        self.handed_over
    }

    pub(super) const fn key(&self) -> usize {
        self.key
    }
}

impl Deref for InFlight {
    type Target = Arc<KeySet>;

    fn deref(&self) -> &Self::Target {
        &self.set
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.handed_over && !self.uncounted {
            self.set.keys[self.key].stats.ended();
        }
    }
}

impl KeySet {
    /// How many requests are in flight with all keys together, without a count that every thread would have
    /// to write to: whoever has one in flight holds the set. So do those that wait for a key, and
    /// a penalty that may be undone, so it may be too many; two are the pool and whoever asks.
    pub(super) fn in_flight(self: &Arc<Self>) -> usize {
        Arc::strong_count(self).saturating_sub(2)
    }
}
