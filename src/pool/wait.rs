//! Waiting for a key.
//!
//! Who waits, waits in a line: one line for each model that was ever at fault and one for everything else, so
//! that nobody stands behind somebody who needs another key. Only the head of a line looks for a key: when
//! the earliest cooldown ends, and when something was freed before its time. Nothing is held while waiting
//! but the place, and whoever leaves gives it up.

use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::{Ask, Exhausted, KeyPool, Lease};
use crate::clock::{Moment, Timestamp};
use crate::provider::ModelId;

/// A line, first come, first served.
#[derive(Debug)]
pub(super) struct Line {
    /// One permit: the head of the line.
    head: Semaphore,
    /// How many stand here.
    length: AtomicUsize,
}

/// Tells the heads of all lines that something was freed before its time.
#[derive(Debug, Default)]
pub(super) struct Freed {
    news: Notify,
    /// How many listen: for as long as nobody does, telling costs one load.
    listening: AtomicUsize,
}

/// The shortest wait, doubled each time in a row that no more than that was left and no key was to be had.
const LEAST: Duration = Duration::from_millis(1);

/// The longest of these waits.
const LEAST_CAP: Duration = Duration::from_millis(128);

/// A place in a line, or an ear for news; given up on drop.
struct Counted<'a>(&'a AtomicUsize);

// === impl KeyPool ===

impl KeyPool {
    /// The right to use one key for one attempt, as soon as there is one; first come, first served.
    ///
    /// Waits for the earliest cooldown to end, or for a key to be freed before: by a probe, an operator, a
    /// new verdict. May be dropped at any time. Requests that do not wait do not stand in line, and may be
    /// faster.
    ///
    /// # Errors
    ///
    /// [`Exhausted`], at once if the wait would not end before the deadline, else at the deadline.
    pub async fn acquire_within(
        &self,
        model: Option<&ModelId>,
        deadline: Instant,
    ) -> Result<Lease, Exhausted> {
        self.acquire_for_within(&model.into(), deadline).await
    }

    /// The same, for a request of which more is known than the model.
    ///
    /// # Errors
    ///
    /// [`Exhausted`], at once if the wait would not end before the deadline, else at the deadline.
    pub async fn acquire_for_within(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Lease, Exhausted> {
        self.acquire_by(ask, self.latest_start(deadline)).await
    }

    /// When a wait has to be over, so that there is time for an attempt before the deadline.
    pub(crate) fn latest_start(&self, deadline: Instant) -> Instant {
        self.0.common.pace.latest_start(deadline)
    }

    /// Waits no longer than until then.
    pub(crate) async fn acquire_by(&self, ask: &Ask<'_>, until: Instant) -> Result<Lease, Exhausted> {
        let set = self.0.set.load_full();
        let lane = ask.model.and_then(|model| set.lane_of(model, Timestamp::now()));
        let line = lane.as_ref().map_or(&set.line, |lane| &lane.line);
        // Where others wait, only the outlook counts: taking a key would be jumping the queue.
        let alone = line.is_empty();
        match if alone { self.acquire_for(ask) } else { Err(self.earliest(ask, Moment::now())) } {
            Err(exhausted) if exhausted.wait().ends_by(until) => {}
            done => return done,
        }
        let _place = Counted::on(&line.length);
        match timeout_at(until, line.head.acquire()).await {
            Ok(_head) => self.wait_at_head(ask, until).await,
            Err(_late) => Err(self.earliest(ask, Moment::now())),
        }
    }

    async fn wait_at_head(&self, ask: &Ask<'_>, until: Instant) -> Result<Lease, Exhausted> {
        let freed = &self.0.common.freed;
        let _ear = Counted::on(&freed.listening);
        fence(Ordering::SeqCst);
        let mut least = LEAST;
        loop {
            // Listen before looking, or what is freed in between is missed.
            let news = freed.news.notified();
            tokio::pin!(news);
            Notified::enable(news.as_mut());
            let wait = match self.acquire_for(ask) {
                Err(exhausted) if exhausted.wait().ends_by(until) => exhausted.wait(),
                done => return done,
            };
            let now = Instant::now();
            let left = until.saturating_duration_since(now);
            // Never at once: a key that is usable and yet refused is being taken by another request just now.
            let wait = wait.limited.map_or(left, |wait| wait.min(left));
            // News or the end: both are a reason to look.
            let _ = timeout_at(now + wait.max(least), news).await;
            least = if wait < least { (least * 2).min(LEAST_CAP) } else { LEAST };
        }
    }
}

// === impl Line ===

impl Line {
    fn is_empty(&self) -> bool {
        self.length.load(Ordering::Acquire) == 0
    }
}

impl Default for Line {
    fn default() -> Self {
        Self { head: Semaphore::new(1), length: AtomicUsize::new(0) }
    }
}

// === impl Freed ===

impl Freed {
    /// Something was freed, or a probe has ended and it is known now when something will be.
    pub(super) fn tell(&self) {
        // What was freed is written before this looks for listeners, and a listener is counted before it looks
        // at what is free: one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.listening.load(Ordering::Acquire) > 0 {
            self.news.notify_waiters();
        }
    }
}

// === impl Counted ===

impl<'a> Counted<'a> {
    fn on(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
