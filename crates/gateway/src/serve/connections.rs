//! The open connections: their maximum number, and the choice of one to close for another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::log_throttle::LogThrottle;
use crate::serve::traffic::Traffic;
use crate::websocket::Tunnel;

/// Interval of the search for a connection to close, while there is no room (50 ms).
const RETRY: Duration = Duration::from_millis(50);

/// Maximum time for tunnels to close at the end of a shutdown (500 ms), and at most a quarter of it.
const TUNNELS: Duration = Duration::from_millis(500);

/// The open connections of a listener.
pub(super) struct Connections {
    room: Arc<Semaphore>,
    max: u32,
    open: Mutex<HashMap<u64, Arc<Traffic>>>,
    next: AtomicU64,
    full: LogThrottle,
}

/// The place of one connection, released when it is dropped.
pub(super) struct Slot {
    connections: Arc<Connections>,
    number: u64,
    pub(super) traffic: Arc<Traffic>,
    _room: OwnedSemaphorePermit,
}

// === impl Connections ===

impl Connections {
    pub(super) fn new(max: u32) -> Arc<Self> {
        Arc::new(Self {
            room: Arc::new(Semaphore::new(max as usize)),
            max,
            open: Mutex::default(),
            next: AtomicU64::new(0),
            full: LogThrottle::default(),
        })
    }

    /// Returns a place for an accepted connection. Without room, closes the connection that has been idle for longest;
    /// if all have requests in flight, waits until one ends.
    pub(super) async fn admit(self: &Arc<Self>) -> Slot {
        loop {
            match Arc::clone(&self.room).try_acquire_owned() {
                Ok(room) => return self.slot(room),
                Err(_full) => self.make_room().await,
            }
        }
    }

    async fn make_room(&self) {
        if let Some(times) = self.full.count() {
            let max = self.max;
            tracing::warn!(target: "gateway", max, times, "too many connections: closing the one idle for longest");
        }
        self.close_idlest();
        drop(timeout(RETRY, self.room.acquire()).await);
    }

    fn slot(self: &Arc<Self>, room: OwnedSemaphorePermit) -> Slot {
        let (number, traffic) = (self.next.fetch_add(1, Ordering::Relaxed), Traffic::new());
        self.open().insert(number, Arc::clone(&traffic));
        Slot { connections: Arc::clone(self), number, traffic, _room: room }
    }

    /// Waits until all connections have ended. Closes tunnels that are still open shortly before the limit.
    pub(super) async fn end_within(&self, limit: Duration) -> Result<(), Elapsed> {
        let last = TUNNELS.min(limit / 4);
        if timeout(limit - last, self.ended()).await.is_ok() {
            return Ok(());
        }
        self.open().values().filter_map(|traffic| traffic.tunnel()).for_each(Tunnel::stop);
        timeout(last, self.ended()).await
    }

    async fn ended(&self) {
        drop(self.room.acquire_many(self.max).await);
    }

    fn close_idlest(&self) {
        let open = self.open();
        let idle = open.values().filter_map(|traffic| Some((traffic.idle_since()?, traffic)));
        if let Some((_, traffic)) = idle.min_by_key(|(since, _)| *since) {
            traffic.close.notify_one();
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Traffic>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.open().remove(&self.number);
    }
}
