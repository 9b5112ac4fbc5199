//! The state of single models.
//!
//! A limit of one model must not put a key into a cooldown for another model. So each model that was ever at
//! fault, or has known limits, has a lane with ready bits, slots, and ledgers of its own. A lane is created
//! with the first such news: a pool without any pays for an empty lookup. The number of lanes is bounded. The
//! lane without news for the longest time is dropped first, and with it only state that the provider will
//! report again: the counts of declared limits stay (see [`model_counters`](crate::pool::keys::model_counters)).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

use crate::pool::keys::model_counters::ModelLedgers;
use crate::pool::keys::usage::UsageCounters;
use crate::pool::scope::growing::Growing;
use crate::pool::scope::outage::Outage;
use crate::pool::scope::queue::WaitQueues;
use crate::pool::scope::ready_bits::ReadyBits;
use crate::pool::scope::shared_limit::SharedLimitDetector;
use crate::pool::scope::slot::Slot;
use crate::provider::ModelId;
use crate::sync::{AtomicU64, Ordering};

pub(in crate::pool) struct ModelStates {
    states: ArcSwap<HashMap<ModelId, Arc<ModelState>>>,
    /// Whether there ever was a lane. Each request asks, and a flag is cheaper than the map.
    has_any: AtomicBool,
    /// Whether limits or keys are declared for single models.
    are_declared: AtomicBool,
    cap: usize,
}

pub(in crate::pool) struct ModelState {
    pub(in crate::pool) model: ModelId,
    /// The ready bits for this model only.
    pub(in crate::pool) bits: ReadyBits,
    pub(in crate::pool) keys: Growing<Slot>,
    pub(in crate::pool) accounts: Growing<Slot>,
    /// The limits of the model. Names that are counted together share them.
    pub(in crate::pool) ledgers: Arc<ModelLedgers>,
    /// Usage of the responses for the model.
    pub(in crate::pool) usage_counters: UsageCounters,
    pub(in crate::pool) shared_limit: SharedLimitDetector,
    /// The queue of requests that wait for a key for the model.
    pub(in crate::pool) queues: WaitQueues,
    pub(in crate::pool) outage: Outage,
    /// The time of the last news, in milliseconds since the Unix epoch. The oldest lane is dropped when there
    /// are too many.
    touched: AtomicU64,
}

/// The use that a pool has for the models of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelUse {
    /// None, because no model was ever at fault. A request need not be searched for its model.
    Unused,
    /// Some models have state of their own.
    Tracked,
    /// Limits or keys are declared for single models. The model of each request has to be known for certain.
    Required,
}

const TOUCH_EVERY_MS: u64 = 1_000;

impl ModelStates {
    pub(in crate::pool) fn new(cap: usize) -> Self {
        let (has_any, are_declared) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { states: ArcSwap::default(), has_any, are_declared, cap }
    }

    /// Returns whether requests depend on their models.
    pub(in crate::pool) fn model_use(&self) -> ModelUse {
        match () {
            () if self.are_declared.load(Ordering::Relaxed) => ModelUse::Required,
            () if self.has_any.load(Ordering::Relaxed) => ModelUse::Tracked,
            () => ModelUse::Unused,
        }
    }

    /// Sets whether limits or keys are declared for single models.
    pub(in crate::pool) fn declare(&self, are_declared: bool) {
        self.are_declared.store(are_declared, Ordering::Relaxed);
    }

    pub(in crate::pool) fn get(&self, model: &ModelId) -> Option<Arc<ModelState>> {
        self.states.load().get(model).cloned()
    }

    /// Returns the lane of a model for a request. A model that is requested is not the first to be dropped.
    pub(in crate::pool) fn get_used(&self, model: &ModelId, now: u64) -> Option<Arc<ModelState>> {
        let state = self.get(model)?;
        // Written rarely, because every request reads it.
        if state.touched.load(Ordering::Relaxed).saturating_add(TOUCH_EVERY_MS) < now {
            state.touched.fetch_max(now, Ordering::Relaxed);
        }
        Some(state)
    }

    pub(in crate::pool) fn all(&self) -> Vec<Arc<ModelState>> {
        self.states.load().values().cloned().collect()
    }

    /// Removes the lanes that are unused and idle.
    pub(in crate::pool) fn forget(&self, is_idle: impl Fn(&ModelState) -> bool) {
        let present = self.states.load_full();
        // A lease holds its lane, so the counts of its response go where the next request finds them.
        let unused = present.values().filter(|state| Arc::strong_count(state) == 1);
        let idle: Vec<_> = unused.filter(|state| is_idle(state)).map(|state| &state.model).collect();
        self.states.rcu(|states| {
            let kept = states.iter().filter(|(model, _)| !idle.contains(model));
            kept.map(|(model, state)| (model.clone(), Arc::clone(state))).collect::<HashMap<_, _>>()
        });
    }

    /// Returns the lane of a model, and marks it as recently used. Creates the lane if it does not exist.
    pub(in crate::pool) fn touch(
        &self,
        model: &ModelId,
        now: u64,
        make: impl FnOnce() -> ModelState,
    ) -> Arc<ModelState> {
        match self.get(model) {
            Some(state) => {
                state.touched.fetch_max(now, Ordering::Relaxed);
                state
            }
            None => self.insert(make()),
        }
    }

    /// Inserts a lane. Returns the lane that is in the map in the end, which another thread may have inserted
    /// first.
    fn insert(&self, state: ModelState) -> Arc<ModelState> {
        let state = Arc::new(state);
        let mut present = Arc::clone(&state);
        self.has_any.store(true, Ordering::Relaxed);
        self.states.rcu(|states| {
            let mut states = HashMap::clone(states);
            if let Some(other) = states.get(&state.model) {
                present = Arc::clone(other);
                return states;
            }
            present = Arc::clone(&state);
            if states.len() >= self.cap {
                remove_oldest(&mut states);
            }
            states.insert(state.model.clone(), Arc::clone(&state));
            states
        });
        present
    }
}

fn remove_oldest(states: &mut HashMap<ModelId, Arc<ModelState>>) {
    let oldest = states.values().min_by_key(|state| state.touched.load(Ordering::Relaxed));
    if let Some(model) = oldest.map(|state| state.model.clone()) {
        states.remove(&model);
    }
}

impl ModelState {
    /// Creates the lane of a model, with room for this number of keys and accounts.
    pub(in crate::pool) fn new(
        model: ModelId,
        ledgers: Arc<ModelLedgers>,
        (keys, accounts): (usize, usize),
        now: u64,
    ) -> Self {
        Self {
            model,
            bits: ReadyBits::new(keys),
            keys: Growing::new(keys),
            accounts: Growing::new(accounts),
            ledgers,
            usage_counters: UsageCounters::default(),
            shared_limit: SharedLimitDetector::new(keys),
            queues: WaitQueues::default(),
            outage: Outage::default(),
            touched: AtomicU64::new(now),
        }
    }
}
