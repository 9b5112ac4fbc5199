//! Whether there is an outage: no usable key, for the pool or for one model.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;

/// The time since which there is no usable key, in milliseconds since the Unix epoch; zero means that there
/// is one.
#[derive(Debug, Default)]
pub(in crate::pool) struct Outage(AtomicU64);

// === impl Outage ===

impl Outage {
    pub(in crate::pool) fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Begins an outage. Returns whether it begins now.
    pub(in crate::pool) fn begin(&self, now: Timestamp) -> bool {
        let since = now.as_unix_ms().max(1);
        self.0.compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Ends an outage after a request that began at `began` was served. Returns the duration of the outage.
    pub(in crate::pool) fn end(&self, began: Timestamp, now: Timestamp) -> Option<Duration> {
        let since = self.0.load(Ordering::Relaxed);
        if since == 0 || began.as_unix_ms() < since {
            return None;
        }
        self.0.compare_exchange(since, 0, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(now.saturating_since(Timestamp::from_unix_ms(since)))
    }
}
