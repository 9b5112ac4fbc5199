//! Outage events: a pool, or one of its models, has no usable key.
//!
//! An outage is reported once when it begins and once when it ends, not for each request that meets it. It
//! begins with a request that fails because no key is usable, unless that is only for a moment. It ends when
//! a request that began later is served. Nothing runs in the background.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::event::{Kind, Severity};
use crate::pool::{Exhausted, KeyPool, Lease};
use crate::provider::ModelId;

/// The time since which there is no usable key, in milliseconds since the Unix epoch; zero means that there
/// is one.
#[derive(Debug, Default)]
pub(in crate::pool) struct Outage(AtomicU64);

/// Minimum wait that counts as an outage. Limits that are paced leave shorter gaps between any two requests.
const BRIEF: Duration = Duration::from_secs(1);

// === impl Outage ===

impl Outage {
    fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Begins an outage. Returns whether it begins now.
    fn begin(&self, now: Timestamp) -> bool {
        let since = now.as_unix_ms().max(1);
        self.0.compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Ends an outage after a request that began at `began` was served. Returns the duration of the outage.
    fn end(&self, began: Timestamp, now: Timestamp) -> Option<Duration> {
        let since = self.0.load(Ordering::Relaxed);
        if since == 0 || began.as_unix_ms() < since {
            return None;
        }
        self.0.compare_exchange(since, 0, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(now.saturating_since(Timestamp::from_unix_ms(since)))
    }
}

// === impl KeyPool ===

impl KeyPool {
    /// Records that a request failed because no key was usable. Emits an event if that begins an outage.
    pub(crate) fn announce_exhausted(&self, model: Option<&ModelId>, attempts: usize, found: &Exhausted) {
        let retry_after = found.retry_after();
        if found.is_probing() || retry_after.is_some_and(|wait| wait < BRIEF) {
            return;
        }
        let (set, common) = (self.0.set.load(), &self.0.common);
        let lane = model.and_then(|model| set.models.get(model));
        let outage = lane.as_ref().map_or(&common.outage, |lane| &lane.outage);
        // An outage of the pool includes all models.
        if !common.outage.is_known() && outage.begin(Timestamp::now()) {
            let model = model.cloned();
            common.emit(Severity::Alarm, || Kind::Exhausted { model, attempts, retry_after });
        }
    }
}

// === impl Lease ===

impl Lease {
    /// Ends the outages of the pool and of the model after a request was served.
    pub(in crate::pool) fn end_outage(&self, now: Timestamp) {
        let (common, began) = (&self.set.common, Timestamp::from(self.began));
        if let Some(after) = common.outage.end(began, now) {
            common.emit(Severity::Change, || Kind::Available { model: None, after });
        }
        if let Some(lane) = &self.lane
            && let Some(after) = lane.outage.end(began, now)
        {
            common.emit(Severity::Change, || Kind::Available { model: Some(lane.model.clone()), after });
        }
    }
}
