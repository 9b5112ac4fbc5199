//! The state of the auth outage detector: a burst of keys that turned invalid, and the probes since. See
//! [`learn::outage`](crate::pool::learn::outage) for its rules.

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};

pub(in crate::pool) const MINUTE_MS: u64 = Duration::from_secs(60).as_millis() as u64;
/// Maximum number of times that the interval doubles: from 1 to 64 minutes.
const DOUBLINGS: u64 = 6;

/// A burst of keys that turned invalid, if there is one, and the pace of its probes.
#[derive(Default)]
pub(in crate::pool) struct AuthOutage {
    /// The time at which the latest key of the present burst turned invalid, in milliseconds since the Unix
    /// epoch; zero means that there is no burst.
    burst: AtomicU64,
    /// The time of the last probe, in milliseconds since the Unix epoch.
    probed: AtomicU64,
    /// Number of probes since the burst.
    probes: AtomicU64,
}

/// Whether other keys are usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum OtherKeys {
    Usable,
    None,
}

// === impl AuthOutage ===

impl AuthOutage {
    /// Returns the time of the burst, in milliseconds since the Unix epoch; zero without a burst.
    pub(in crate::pool) fn burst(&self) -> u64 {
        self.burst.load(Ordering::Acquire)
    }

    /// Begins, moves or ends the burst. A burst with another time begins with the first probe.
    pub(in crate::pool) fn set_burst(&self, burst: Option<u64>) {
        if self.burst.swap(burst.unwrap_or(0), Ordering::AcqRel) != burst.unwrap_or(0) {
            self.probes.store(0, Ordering::Relaxed);
        }
    }

    /// Ends the burst. Returns its time; zero if there was none.
    pub(in crate::pool) fn end_burst(&self) -> u64 {
        self.burst.swap(0, Ordering::AcqRel)
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
        let burst = self.burst();
        let interval = match others {
            OtherKeys::None => MINUTE_MS,
            OtherKeys::Usable => MINUTE_MS << self.probes.load(Ordering::Relaxed).min(DOUBLINGS),
        };
        let next = burst.saturating_add(MINUTE_MS);
        (burst != 0).then(|| next.max(self.last_probe().saturating_add(interval)))
    }
}
