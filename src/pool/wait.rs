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

/// The shortest wait.
const LEAST: Duration = Duration::from_millis(1);

/// Tokio's timers fire up to two milliseconds late, which is nothing to a limit per minute and a tenth of what
/// a key of fifty requests a second allows. So the last of a short wait is slept through by a thread.
const NAP: Duration = Duration::from_millis(2);

/// For a longer wait, two milliseconds are less than a hundredth.
const COARSE: Duration = Duration::from_millis(200);

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
        // A key that comes too late for an answer is wasted.
        let deadline = deadline.checked_sub(self.0.common.pace.most()).unwrap_or(deadline);
        let set = self.0.set.load_full();
        let lane = ask.model.and_then(|model| set.lane_of(model, Timestamp::now()));
        let line = lane.as_ref().map_or(&set.line, |lane| &lane.line);
        // Where others wait, only the outlook counts: taking a key would be jumping the queue.
        let alone = line.is_empty();
        match if alone { self.acquire_for(ask) } else { Err(self.earliest(ask, Moment::now())) } {
            Err(exhausted) if exhausted.ends_by(deadline) => {}
            done => return done,
        }
        let _place = Counted::on(&line.length);
        match timeout_at(deadline, line.head.acquire()).await {
            Ok(_head) => self.wait_at_head(ask, deadline).await,
            Err(_late) => Err(self.earliest(ask, Moment::now())),
        }
    }

    async fn wait_at_head(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Lease, Exhausted> {
        let freed = &self.0.common.freed;
        let _ear = Counted::on(&freed.listening);
        fence(Ordering::SeqCst);
        let mut napped = false;
        loop {
            // Listen before looking, or what is freed in between is missed.
            let news = freed.news.notified();
            tokio::pin!(news);
            Notified::enable(news.as_mut());
            let exhausted = match self.acquire_for(ask) {
                Err(exhausted) if exhausted.ends_by(deadline) => exhausted,
                done => return done,
            };
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let wait = exhausted.retry_after().map_or(left, |wait| wait.min(left));
            if wait <= NAP && !napped {
                nap(wait).await;
                napped = true;
                continue;
            }
            let precise = wait > NAP && wait < COARSE;
            napped &= !precise;
            // Never at once: a key that is usable and yet refused is being taken by somebody else just now.
            let wait = if precise { wait - NAP } else { wait.max(LEAST) };
            // News or the end: both are a reason to look.
            let _ = timeout_at(now + wait, news).await;
        }
    }
}

/// Sleeps precisely, by the real clock: where a test has paused tokio's it brings nothing, which is why nobody naps
/// twice in a row.
async fn nap(wait: Duration) {
    #[expect(clippy::disallowed_methods, reason = "on a thread for blocking, for two milliseconds at most")]
    let sleep = move || std::thread::sleep(wait);
    // A runtime that shuts down cancels it, and the waiter with it.
    let _ = tokio::task::spawn_blocking(sleep).await;
}

impl Exhausted {
    /// Whether it is over by then, or may be.
    fn ends_by(&self, deadline: Instant) -> bool {
        let now = Instant::now();
        let left = deadline.checked_duration_since(now).filter(|left| !left.is_zero());
        let in_time = |left| self.is_probing() || self.retry_after().is_some_and(|wait| wait <= left);
        left.is_some_and(in_time)
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
