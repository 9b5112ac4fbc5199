//! A queue of waiters, and the notification that something was released.

use std::sync::atomic::{AtomicUsize, Ordering, fence};

use tokio::sync::futures::Notified;
use tokio::sync::{AcquireError, Notify, Semaphore, SemaphorePermit};

/// A queue of waiters, first come, first served.
#[derive(Debug)]
pub(in crate::pool) struct WaitQueue {
    /// A semaphore with one permit: the head of the queue.
    head: Semaphore,
    /// Number of waiters.
    length: AtomicUsize,
}

/// The queues of requests that wait for the same keys.
#[derive(Debug, Default)]
pub(in crate::pool) struct WaitQueues {
    new: WaitQueue,
    /// The requests that were refused before. A separate queue keeps a refused request from waiting behind
    /// all that came after it.
    refused: WaitQueue,
}

/// Wakes the heads of all queues when something was freed before its time.
#[derive(Debug, Default)]
pub(in crate::pool) struct Released {
    news: Notify,
    /// Number of listeners. Without any, a notification costs one load.
    listening: AtomicUsize,
}

/// A counted place, in a queue or among the listeners. Dropping it gives it up.
#[derive(Debug)]
pub(in crate::pool) struct QueuePlace<'a>(&'a AtomicUsize);

// === impl WaitQueues ===

impl WaitQueues {
    pub(in crate::pool) const fn of(&self, was_refused: bool) -> &WaitQueue {
        if was_refused { &self.refused } else { &self.new }
    }
}

// === impl WaitQueue ===

impl WaitQueue {
    pub(in crate::pool) fn is_empty(&self) -> bool {
        self.length.load(Ordering::Acquire) == 0
    }

    /// Takes a place in the queue.
    pub(in crate::pool) fn enter(&self) -> QueuePlace<'_> {
        QueuePlace::on(&self.length)
    }

    /// Waits to become the head of the queue.
    pub(in crate::pool) async fn head(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.head.acquire().await
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self { head: Semaphore::new(1), length: AtomicUsize::new(0) }
    }
}

// === impl Released ===

impl Released {
    /// Counts a listener, which is notified of everything that is released from then on.
    pub(in crate::pool) fn listen(&self) -> QueuePlace<'_> {
        let listening = QueuePlace::on(&self.listening);
        fence(Ordering::SeqCst);
        listening
    }

    /// Returns the next notification.
    pub(in crate::pool) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    /// Wakes the heads of all queues: something was freed, or a probe has ended and the time of the next
    /// change is known.
    pub(in crate::pool) fn tell(&self) {
        // The freed state is written before this load of the listener count, and a listener is counted before
        // it looks for a key. So one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.listening.load(Ordering::Acquire) > 0 {
            self.news.notify_waiters();
        }
    }
}

// === impl QueuePlace ===

impl<'a> QueuePlace<'a> {
    fn on(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
