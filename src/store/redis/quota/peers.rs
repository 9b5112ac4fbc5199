//! The numbers of instances that share limits, as a store was told last.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::pool::KeyPool;

/// The number of instances of each provider, as the store was told last. A pool that takes the place of another while
/// Redis is away begins with it.
#[derive(Debug, Default)]
pub(in crate::store::redis) struct Peers(Mutex<HashMap<String, u64>>);

// === impl Peers ===

impl Peers {
    /// Returns the number of instances that share the limits of a pool; `None` before the first connection.
    pub(super) fn of(&self, pool: &KeyPool) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(pool.provider().name()).copied()
    }

    pub(super) fn set(&self, pool: &KeyPool, instances: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(pool.provider().name().to_owned(), instances);
    }
}
