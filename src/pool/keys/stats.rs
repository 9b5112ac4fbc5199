//! Counters of a key, for reporting. Decisions use only the number of requests in flight.

use crate::sync::{AtomicU64, Ordering};

#[derive(Default)]
pub(in crate::pool) struct Stats {
    calls: AtomicU64,
    /// Number of calls that have ended. It never exceeds `calls`, except for the moment between two reads.
    ended: AtomicU64,
    successes: AtomicU64,
    /// Number of faults that concerned the key or its account.
    faults: AtomicU64,
    /// Number of such faults since the last success.
    consecutive_faults: AtomicU64,
    /// The time of the last call, in milliseconds since the Unix epoch; zero means never.
    last_used: AtomicU64,
}

/// The counters of a key at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pool) struct Counts {
    pub(in crate::pool) calls: u64,
    pub(in crate::pool) successes: u64,
    pub(in crate::pool) faults: u64,
    pub(in crate::pool) consecutive_faults: u64,
    pub(in crate::pool) last_used: u64,
}

impl Stats {
    pub(in crate::pool) fn called(&self, now: u64) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        // Most calls share their millisecond with another call. A word that is rarely written is cheap to
        // read.
        if self.last_used.load(Ordering::Relaxed) < now {
            self.last_used.fetch_max(now, Ordering::Relaxed);
        }
    }

    pub(in crate::pool) fn ended(&self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    /// Removes a call that turned out to be none, and that does not end either.
    pub(in crate::pool) fn uncalled(&self) {
        self.calls.fetch_sub(1, Ordering::SeqCst);
    }

    /// Returns the number of calls that have not ended. It may be too high for a moment, and never too low.
    pub(in crate::pool) fn in_flight(&self) -> u64 {
        let ended = self.ended.load(Ordering::SeqCst);
        self.calls.load(Ordering::SeqCst).saturating_sub(ended)
    }

    pub(in crate::pool) fn succeeded(&self) {
        self.successes.fetch_add(1, Ordering::Relaxed);
        if self.consecutive_faults.load(Ordering::Relaxed) != 0 {
            self.consecutive_faults.store(0, Ordering::Relaxed);
        }
    }

    pub(in crate::pool) fn failed(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        self.consecutive_faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::pool) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            calls: read(&self.calls),
            successes: read(&self.successes),
            faults: read(&self.faults),
            consecutive_faults: read(&self.consecutive_faults),
            last_used: read(&self.last_used),
        }
    }
}
