//! Whether a store works: an event for each change, and what its metrics show.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::event::{EventKind, Severity, StoreNote};
use crate::pool::{KeyPool, PoolId};

/// The health of one store, for each of its pools.
#[derive(Debug)]
pub(super) struct Health {
    store: &'static str,
    /// The time since which the store fails for a pool.
    failing: Mutex<HashMap<PoolId, Timestamp>>,
    pools: Mutex<Vec<KeyPool>>,
}

// === impl Health ===

impl Health {
    pub(super) fn new(store: &'static str) -> Self {
        Self { store, failing: Mutex::default(), pools: Mutex::default() }
    }

    /// Forgets all pools but these.
    pub(super) fn keep(&self, pools: &[KeyPool]) {
        let mut kept = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let is_gone =
            |pool: &&KeyPool| !pools.iter().any(|it| it.provider().name() == pool.provider().name());
        kept.iter().filter(is_gone).for_each(|pool| pool.note_store(self.store, StoreNote::Ended));
        *kept = pools.to_vec();
        drop(kept);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.retain(|id, _| pools.iter().any(|pool| pool.id() == *id));
    }

    /// Returns whether the store fails for a pool.
    #[cfg(feature = "redis")]
    pub(super) fn is_failing(&self, pool: &KeyPool) -> bool {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&pool.id())
    }

    /// Notes that the store works for these pools. Emits an event at each for which it failed before.
    pub(super) fn works(&self, pools: &[KeyPool]) {
        for pool in pools {
            pool.note_store(self.store, StoreNote::Works);
            let since = self.failing.lock().unwrap_or_else(PoisonError::into_inner).remove(&pool.id());
            if let Some(since) = since {
                let (store, after) = (self.store, Timestamp::now().saturating_since(since));
                pool.emit(Severity::Change, || EventKind::StoreRecovered { store, after });
            }
        }
    }

    /// Notes that the store fails for these pools. Emits an event at each for which it worked before. `reason` shows
    /// no secret.
    pub(super) fn fails(&self, pools: &[KeyPool], reason: &str) {
        for pool in pools {
            pool.note_store(self.store, StoreNote::Fails);
            let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
            let is_news = !failing.contains_key(&pool.id());
            failing.entry(pool.id()).or_insert_with(Timestamp::now);
            drop(failing);
            if is_news {
                tell(std::slice::from_ref(pool), self.store, reason);
            }
        }
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.keep(&[]);
    }
}

/// Emits the event that a store fails.
pub(super) fn tell(pools: &[KeyPool], store: &'static str, reason: &str) {
    for pool in pools {
        pool.emit(Severity::Alarm, || EventKind::StoreFailed { store, reason: reason.into() });
    }
}
