//! Waiting for a key.
//!
//! Waiters stand in a queue: one queue for each model that was ever at fault, and one for everything else, so
//! that no request stands behind one that needs another key. Only the head of a queue looks for a key: when
//! the earliest cooldown ends, and when something was freed before its time. A waiter holds nothing but its
//! place, and gives it up when it leaves.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::time::{Instant, timeout_at};

use crate::clock::{Moment, Timestamp};
use crate::pool::keys::refresh::lane_of;
use crate::pool::{Ask, Exhausted, KeyPool, Lease};
use crate::provider::ModelId;

/// Minimum wait. Doubles each time in a row that no more than this was left and no key was available.
const LEAST: Duration = Duration::from_millis(1);

/// Maximum of the doubled minimum wait.
const LEAST_CAP: Duration = Duration::from_millis(128);

// === impl KeyPool ===

impl KeyPool {
    /// Leases a key for one attempt as soon as one is usable; first come, first served.
    ///
    /// Waits for the earliest cooldown to end, or for a key to be freed before that: by a probe, an operator,
    /// or a new verdict. The future may be dropped at any time. [`acquire`](Self::acquire) does not wait in
    /// the queue, and may overtake waiters.
    ///
    /// # Errors
    ///
    /// Returns [`Exhausted`]: at once if the wait does not end in time for an attempt before the deadline,
    /// and otherwise when that time is over.
    pub async fn acquire_within(
        &self,
        model: Option<&ModelId>,
        deadline: Instant,
    ) -> Result<Lease, Exhausted> {
        self.acquire_for_within(&model.into(), deadline).await
    }

    /// Leases a key for one attempt as soon as one is usable, for a request of which more than the model is
    /// known. Waits like [`acquire_within`](Self::acquire_within).
    ///
    /// # Errors
    ///
    /// Returns [`Exhausted`]: at once if the wait does not end in time for an attempt before the deadline,
    /// and otherwise when that time is over.
    pub async fn acquire_for_within(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Lease, Exhausted> {
        self.acquire_by(ask, self.latest_start(deadline)).await
    }

    /// Returns the time at which a wait has to be over, to leave enough time for an attempt before the
    /// deadline.
    pub(crate) fn latest_start(&self, deadline: Instant) -> Instant {
        self.0.common.pace.latest_start(deadline)
    }

    /// Leases a key, and waits no longer than until `until`.
    pub(crate) async fn acquire_by(&self, ask: &Ask<'_>, until: Instant) -> Result<Lease, Exhausted> {
        let set = self.0.set.load_full();
        let lane = ask.model.and_then(|model| lane_of(&set, model, Timestamp::now()));
        let line = lane.as_ref().map_or(&set.line, |lane| &lane.line);
        // With other waiters in the queue, only the expected wait counts: taking a key would be jumping the
        // queue.
        let alone = line.is_empty();
        match if alone { self.acquire_for(ask) } else { Err(self.earliest(ask, Moment::now())) } {
            Err(exhausted) if exhausted.wait().ends_by(until) => {}
            done => return done,
        }
        let _place = line.enter();
        match timeout_at(until, line.head()).await {
            Ok(_head) => self.wait_at_head(ask, until).await,
            Err(_late) => Err(self.earliest(ask, Moment::now())),
        }
    }

    async fn wait_at_head(&self, ask: &Ask<'_>, until: Instant) -> Result<Lease, Exhausted> {
        let freed = &self.0.common.freed;
        let _listening = freed.listen();
        let mut least = LEAST;
        loop {
            // Listen before looking. Otherwise a notification in between would be missed.
            let mut news = pin!(freed.news());
            Notified::enable(news.as_mut());
            let wait = match self.acquire_for(ask) {
                Err(exhausted) if exhausted.wait().ends_by(until) => exhausted.wait(),
                done => return done,
            };
            let now = Instant::now();
            let left = until.saturating_duration_since(now);
            // Never wait for zero: a usable key that is refused nevertheless is being taken by another
            // request right now.
            let wait = wait.limited.map_or(left, |wait| wait.min(left));
            // A notification and a timeout both lead to another look.
            let _ = timeout_at(now + wait.max(least), news).await;
            least = if wait < least { (least * 2).min(LEAST_CAP) } else { LEAST };
        }
    }
}
