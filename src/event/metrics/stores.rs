//! Metrics of the stores that keep or share the state of pools.
//!
//! A store works or fails whether or not anyone counts, so the hub keeps the latest of each, and a pool sets the metrics
//! when it is asked to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::clock::Timestamp;
use crate::event::StoreNote;

const UP: &str = "tower_key_rotation_store_up";
const FAILURES: &str = "tower_key_rotation_store_failures_total";
const LAST_SUCCESS: &str = "tower_key_rotation_store_last_success_timestamp_seconds";

/// The stores of the pools of one hub, by provider and name of the store.
#[derive(Default)]
pub(crate) struct Stores(Mutex<BTreeMap<(Arc<str>, &'static str), Record>>);

/// The latest of one store.
#[derive(Clone, Copy, Default)]
struct Record {
    /// Whether it works. `None` if it has ended.
    works: Option<bool>,
    last_success: Option<Timestamp>,
    /// Failures that are not counted yet.
    failures: u64,
}

pub(super) fn describe() {
    describe_gauge!(UP, "1 if the store of the state works, 0 if it fails.");
    describe_counter!(FAILURES, Unit::Count, "Times the store of the state failed.");
    describe_gauge!(LAST_SUCCESS, Unit::Seconds, "Unix time at which the store last had the present state.");
}

// === impl Stores ===

impl Stores {
    pub(crate) fn note(&self, provider: &Arc<str>, store: &'static str, note: StoreNote) {
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let record = stores.entry((Arc::clone(provider), store)).or_default();
        match note {
            StoreNote::Works => (record.works, record.last_success) = (Some(true), Some(Timestamp::now())),
            StoreNote::Fails => (record.works, record.failures) = (Some(false), record.failures + 1),
            StoreNote::Ended => record.works = None,
        }
    }

    /// Sets the metrics of the stores of a provider. Those of a store that has ended become `NaN`, on which no alert
    /// fires.
    pub(crate) fn measure(&self, provider: &Arc<str>) {
        for (store, record) in self.take(provider) {
            let labels = [("provider", provider.to_string()), ("store", store.to_owned())];
            let Record { works, last_success, failures } = record;
            let seconds = last_success.map(|at| Timestamp::as_unix_ms(at) as f64 / 1_000.0);
            gauge!(UP, &labels).set(works.map_or(f64::NAN, |works| f64::from(u8::from(works))));
            counter!(FAILURES, &labels).increment(failures);
            if let Some(seconds) = seconds {
                gauge!(LAST_SUCCESS, &labels).set(works.map_or(f64::NAN, |_| seconds));
            }
        }
    }

    /// Returns the records of a provider. Forgets the stores that have ended, and the failures, which are counted now.
    fn take(&self, provider: &Arc<str>) -> Vec<(&'static str, Record)> {
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_provider = stores.iter_mut().filter(|((name, _), _)| name == provider);
        let found = of_provider.by_ref().map(|((_, store), record)| {
            let before = *record;
            record.failures = 0;
            (*store, before)
        });
        let found = found.collect();
        stores.retain(|(name, _), record| name != provider || record.works.is_some());
        found
    }
}
