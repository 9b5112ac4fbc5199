//! Whether a store works: an event for each change, and what its metrics show.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::event::{EventKind, Severity, StoreNote};
use crate::pool::KeyPool;

/// The health of one store, for each of its pools.
#[derive(Debug)]
pub(super) struct Health {
    store: &'static str,
    /// The time since which the store fails, by provider: a pool may take the place of another one.
    failing: Mutex<HashMap<String, Timestamp>>,
    pools: Mutex<Vec<KeyPool>>,
}

// === impl Health ===

impl Health {
    pub(super) fn new(store: &'static str) -> Self {
        Self { store, failing: Mutex::default(), pools: Mutex::default() }
    }

    /// Sets the pools of the store. A failure is over for a provider that has none any more.
    pub(super) fn keep(&self, pools: &[KeyPool]) {
        for gone in self.replace(pools) {
            self.end_failure(&gone);
        }
    }

    /// Notes a failure for these pools whose event was emitted already.
    #[cfg(feature = "file-store")]
    pub(super) fn failed_before(&self, pools: &[KeyPool]) {
        self.failing().extend(pools.iter().map(|pool| (name(pool), Timestamp::now())));
    }

    /// Returns whether the store fails for a pool.
    #[cfg(feature = "redis")]
    pub(super) fn is_failing(&self, pool: &KeyPool) -> bool {
        self.failing().contains_key(pool.provider().name())
    }

    /// Notes that the store works for these pools. Emits an event at each for which it failed before.
    pub(super) fn works(&self, pools: &[KeyPool]) {
        for pool in pools {
            pool.note_store(self.store, StoreNote::Works);
            self.end_failure(pool);
        }
    }

    /// Notes that the store fails for these pools. Emits an event at each for which it worked before. `reason` shows
    /// no secret.
    pub(super) fn fails(&self, pools: &[KeyPool], reason: &str) {
        for pool in pools {
            pool.note_store(self.store, StoreNote::Fails);
            let mut failing = self.failing();
            let is_news = !failing.contains_key(pool.provider().name());
            failing.entry(name(pool)).or_insert_with(Timestamp::now);
            drop(failing);
            if is_news {
                tell(std::slice::from_ref(pool), self.store, reason);
            }
        }
    }

    fn end_failure(&self, pool: &KeyPool) {
        let since = self.failing().remove(pool.provider().name());
        if let Some(since) = since {
            let (store, after) = (self.store, Timestamp::now().saturating_since(since));
            pool.emit(Severity::Change, || EventKind::StoreRecovered { store, after });
        }
    }

    /// Replaces the pools, and returns those of providers that are not among them any more.
    fn replace(&self, pools: &[KeyPool]) -> Vec<KeyPool> {
        let mut kept = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *kept, pools.to_vec());
        drop(kept);
        let is_gone = |pool: &KeyPool| !pools.iter().any(|it| it.provider().name() == pool.provider().name());
        let gone: Vec<_> = before.into_iter().filter(is_gone).collect();
        gone.iter().for_each(|pool| pool.note_store(self.store, StoreNote::Ended));
        gone
    }

    fn failing(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.keep(&[]);
    }
}

fn name(pool: &KeyPool) -> String {
    pool.provider().name().to_owned()
}

/// Emits the event that a store fails.
pub(super) fn tell(pools: &[KeyPool], store: &'static str, reason: &str) {
    for pool in pools {
        pool.emit(Severity::Alarm, || EventKind::StoreFailed { store, reason: reason.into() });
    }
}
