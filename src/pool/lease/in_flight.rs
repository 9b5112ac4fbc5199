//! The part of a lease that keeps its key set alive and counts it as a request in flight.

use std::ops::Deref;
use std::sync::Arc;

use crate::pool::keys::key::Key;
use crate::pool::keys::key_set::KeySet;
use crate::pool::report::drained::left;

/// One request in flight with a key. It counts for as long as it is held.
///
/// It also holds the key set, so that a lease need not hold the set a second time. That makes the reference
/// count of a set, which exists anyway, the number of requests in flight with all of its keys: see
/// [`KeySet::in_flight`].
pub(in crate::pool) struct InFlight {
    set: Arc<KeySet>,
    key: usize,
    /// Whether another value counts in place of this one.
    handed_over: bool,
    /// Whether the request turned out to be no call.
    uncounted: bool,
}

// === impl InFlight ===

impl InFlight {
    pub(in crate::pool) fn new(set: Arc<KeySet>, key: usize, now: u64) -> Self {
        set.keys[key].stats.called(now);
        Self { set, key, handed_over: false, uncounted: false }
    }

    /// Moves on to the latest set, if it has the key.
    pub(in crate::pool) fn catch_up(&mut self) {
        if let Some(latest) = self.set.current.get().filter(|latest| latest.agrees_with(&self.set, self.key))
        {
            self.set = latest;
        }
    }

    /// Hands the count over to the returned value. This value keeps holding the set.
    pub(in crate::pool) fn hand_over(&mut self) -> Self {
        let handed_over = std::mem::replace(&mut self.handed_over, true);
        Self { set: Arc::clone(&self.set), key: self.key, handed_over, uncounted: self.uncounted }
    }

    /// Stops counting the request, because nothing was sent: it was no call of the key.
    pub(in crate::pool) fn uncount(&mut self) {
        if !std::mem::replace(&mut self.uncounted, true) {
            self.entry().stats.uncalled();
            self.ended();
        }
    }

    /// Returns whether another value counts in place of this one.
    pub(in crate::pool) const fn is_handed_over(&self) -> bool {
        self.handed_over
    }

    pub(in crate::pool) const fn key(&self) -> usize {
        self.key
    }

    fn entry(&self) -> &Key {
        &self.set.keys[self.key]
    }

    /// Announces the end of the last request of a key that takes no more.
    fn ended(&self) {
        if self.entry().is_disabled() {
            left(&self.set.common, self.entry());
        }
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
            self.entry().stats.ended();
            self.ended();
        }
    }
}
