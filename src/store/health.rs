//! Whether a store works, reported once for each change.

use crate::clock::Timestamp;
use crate::event::{EventKind, Severity};
use crate::pool::KeyPool;

/// The health of one store.
#[derive(Debug)]
pub(super) struct Health {
    store: &'static str,
    /// The time since which the store fails.
    failing: Option<Timestamp>,
}

// === impl Health ===

impl Health {
    pub(super) const fn new(store: &'static str) -> Self {
        Self { store, failing: None }
    }

    /// Notes that the store works. Emits an event if it failed before.
    pub(super) fn works(&mut self, pools: &[KeyPool]) {
        if let Some(since) = self.failing.take() {
            let after = Timestamp::now().saturating_since(since);
            let store = self.store;
            pools
                .iter()
                .for_each(|pool| pool.emit(Severity::Change, || EventKind::StoreRecovered { store, after }));
        }
    }

    /// Notes that the store fails. Emits an event if it worked before. `reason` shows no secret.
    pub(super) fn fails(&mut self, pools: &[KeyPool], reason: &str) {
        if self.failing.is_none() {
            self.failing = Some(Timestamp::now());
            tell(pools, self.store, reason);
        }
    }
}

/// Emits the event that a store fails.
pub(super) fn tell(pools: &[KeyPool], store: &'static str, reason: &str) {
    for pool in pools {
        pool.emit(Severity::Alarm, || EventKind::StoreFailed { store, reason: reason.into() });
    }
}
