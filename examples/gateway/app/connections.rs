//! All connections: how many there may be, and which has to leave for another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::burst::Burst;
use super::traffic::Traffic;

/// How often a connection is looked for that can leave, while there is no room.
const RETRY: Duration = Duration::from_millis(50);

/// The connections of a listener.
pub(super) struct Connections {
    room: Arc<Semaphore>,
    most: u32,
    open: Mutex<HashMap<u64, Arc<Traffic>>>,
    next: AtomicU64,
    full: Burst,
}

/// A place among the connections, given back when it is dropped.
pub(super) struct Slot {
    connections: Arc<Connections>,
    number: u64,
    pub(super) traffic: Arc<Traffic>,
    _room: OwnedSemaphorePermit,
}

// === impl Connections ===

impl Connections {
    pub(super) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self {
            room: Arc::new(Semaphore::new(most as usize)),
            most,
            open: Mutex::default(),
            next: AtomicU64::new(0),
            full: Burst::default(),
        })
    }

    /// A place for a connection that was accepted. Without room, the connection that has been without a request
    /// for the longest time has to leave; if all have requests in flight, waits for one to end.
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
            let most = self.most;
            tracing::warn!(target: "gateway", most, times, "too many connections: the idlest is closed");
        }
        self.dismiss_idlest();
        drop(timeout(RETRY, self.room.acquire()).await);
    }

    fn slot(self: &Arc<Self>, room: OwnedSemaphorePermit) -> Slot {
        let (number, traffic) = (self.next.fetch_add(1, Ordering::Relaxed), Traffic::new());
        self.open().insert(number, Arc::clone(&traffic));
        Slot { connections: Arc::clone(self), number, traffic, _room: room }
    }

    /// Done when all connections have ended.
    pub(super) async fn ended(&self) {
        drop(self.room.acquire_many(self.most).await);
    }

    fn dismiss_idlest(&self) {
        let open = self.open();
        let idle = open.values().filter_map(|traffic| Some((traffic.idle_since()?, traffic)));
        if let Some((_, traffic)) = idle.min_by_key(|(since, _)| *since) {
            traffic.leave.notify_one();
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
