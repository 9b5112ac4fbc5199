//! The state of the auth outage detector: a burst of keys that turned invalid, and the probes since. See
//! [`learn::outage`](crate::pool::learn::outage) for its rules.

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};

const MINUTE_MS: u64 = Duration::from_secs(60).as_millis() as u64;
/// Maximum time between two keys of one burst, if no key has served a request in between: ten minutes.
const LONGEST_MS: u64 = 10 * MINUTE_MS;
/// Maximum number of times that the interval doubles: from 1 to 64 minutes.
const DOUBLINGS: u64 = 6;

/// A burst of keys that turned invalid, if there is one, and the pace of its probes.
#[derive(Default)]
pub(in crate::pool) struct AuthOutage {
    /// The time at which the latest key of the present burst turned invalid, in milliseconds since the Unix
    /// epoch; zero means that there is no burst.
    burst: AtomicU64,
    /// The time from which on keys that turned invalid belong to it, in milliseconds since the Unix epoch.
    from: AtomicU64,
    /// The time of the last probe, in milliseconds since the Unix epoch.
    probed: AtomicU64,
    /// Number of probes since the burst.
    probes: AtomicU64,
}

/// The time in which the keys of a burst turned invalid, both ends included, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) struct Burst {
    pub(in crate::pool) from: u64,
    pub(in crate::pool) latest: u64,
}

/// Whether other keys are usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum OtherKeys {
    Usable,
    None,
}

// === impl Burst ===

impl Burst {
    /// Returns the burst whose latest key turned invalid at `latest`, in a pool that last served a request at `served`.
    pub(in crate::pool) fn until(latest: u64, served: u64) -> Self {
        let unserved = latest.saturating_sub(LONGEST_MS).max(served.saturating_add(1));
        Self { from: latest.saturating_sub(MINUTE_MS).min(unserved), latest }
    }

    /// Returns whether a key that turned invalid at `since` is one of the burst.
    pub(in crate::pool) fn includes(self, since: u64) -> bool {
        (self.from..=self.latest).contains(&since)
    }
}

// === impl AuthOutage ===

impl AuthOutage {
    /// Returns whether there is a burst.
    pub(in crate::pool) fn has_burst(&self) -> bool {
        self.burst.load(Ordering::Acquire) != 0
    }

    /// Returns the burst, if there is one.
    pub(in crate::pool) fn burst(&self) -> Option<Burst> {
        let latest = self.burst.load(Ordering::Acquire);
        (latest != 0).then(|| Burst { from: self.from.load(Ordering::Acquire), latest })
    }

    /// Begins, moves or ends the burst. A burst with another latest key begins with the first probe.
    pub(in crate::pool) fn set_burst(&self, burst: Option<Burst>) {
        let Burst { from, latest } = burst.unwrap_or(Burst { from: 0, latest: 0 });
        self.from.store(from, Ordering::Release);
        if self.burst.swap(latest, Ordering::AcqRel) != latest {
            self.probes.store(0, Ordering::Relaxed);
        }
    }

    /// Ends the burst, and returns it.
    pub(in crate::pool) fn end_burst(&self) -> Option<Burst> {
        let burst = self.burst();
        self.burst.store(0, Ordering::Release);
        burst
    }

    /// Returns the time of the last probe, in milliseconds since the Unix epoch.
    pub(in crate::pool) fn last_probe(&self) -> u64 {
        self.probed.load(Ordering::Acquire)
    }

    /// Claims the next probe. Returns `false` if another thread has claimed it since `last`.
    pub(in crate::pool) fn claim_probe(&self, last: u64, now: u64) -> bool {
        self.probed.compare_exchange(last, now, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Counts a probe that was admitted.
    pub(in crate::pool) fn count_probe(&self) {
        self.probes.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the time at which the next probe is due, in milliseconds since the Unix epoch; `None` without
    /// a burst.
    pub(in crate::pool) fn next_probe(&self, others: OtherKeys) -> Option<u64> {
        let burst = self.burst()?;
        let interval = match others {
            OtherKeys::None => MINUTE_MS,
            OtherKeys::Usable => MINUTE_MS << self.probes.load(Ordering::Relaxed).min(DOUBLINGS),
        };
        let next = burst.latest.saturating_add(MINUTE_MS);
        Some(next.max(self.last_probe().saturating_add(interval)))
    }
}
