//! The state of single models.
//!
//! A limit of one model must not put a key into a cooldown for another model. So each model that was ever at
//! fault, or has known limits, has a lane with ready bits, slots, and ledgers of its own. A lane is created
//! with the first such news: a pool without any pays for an empty lookup. The number of lanes is bounded. The
//! lane without news for the longest time is dropped first, and with it only state that the provider will
//! report again: the counts of declared limits stay (see [`model_counters`](crate::pool::keys::model_counters)).

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::pool::keys::model_counters::ModelLedgers;
use crate::pool::keys::usage::Tally;
use crate::pool::scope::outage::Outage;
use crate::pool::scope::queue::Line;
use crate::pool::scope::ready_bits::Lane;
use crate::pool::scope::shared_limit::Chorus;
use crate::pool::scope::slot::Slot;
use crate::provider::ModelId;
use crate::sync::{AtomicU64, Ordering};

pub(in crate::pool) struct ModelLanes {
    lanes: ArcSwap<HashMap<ModelId, Arc<ModelLane>>>,
    cap: usize,
}

pub(in crate::pool) struct ModelLane {
    pub(in crate::pool) model: ModelId,
    /// The ready bits for this model only.
    pub(in crate::pool) bits: Lane,
    pub(in crate::pool) keys: Box<[Slot]>,
    pub(in crate::pool) accounts: Box<[Slot]>,
    /// The limits of the model. Names that are counted together share them.
    pub(in crate::pool) ledgers: Arc<ModelLedgers>,
    /// Usage of the responses for the model.
    pub(in crate::pool) tally: Tally,
    pub(in crate::pool) chorus: Chorus,
    /// The queue of requests that wait for a key for the model.
    pub(in crate::pool) line: Line,
    pub(in crate::pool) outage: Outage,
    /// The time of the last news, in milliseconds since the Unix epoch. The oldest lane is dropped when there
    /// are too many.
    touched: AtomicU64,
}

const TOUCH_EVERY_MS: u64 = 1_000;

impl ModelLanes {
    pub(in crate::pool) fn new(cap: usize) -> Self {
        Self { lanes: ArcSwap::default(), cap }
    }

    pub(in crate::pool) fn is_empty(&self) -> bool {
        self.lanes.load().is_empty()
    }

    pub(in crate::pool) fn get(&self, model: &ModelId) -> Option<Arc<ModelLane>> {
        self.lanes.load().get(model).cloned()
    }

    /// Returns the lane of a model for a request. A model that is requested is not the first to be dropped.
    pub(in crate::pool) fn get_used(&self, model: &ModelId, now: u64) -> Option<Arc<ModelLane>> {
        let lane = self.get(model)?;
        // Written rarely, because every request reads it.
        if lane.touched.load(Ordering::Relaxed).saturating_add(TOUCH_EVERY_MS) < now {
            lane.touched.fetch_max(now, Ordering::Relaxed);
        }
        Some(lane)
    }

    pub(in crate::pool) fn all(&self) -> Vec<Arc<ModelLane>> {
        self.lanes.load().values().cloned().collect()
    }

    /// Removes the lanes that are unused and idle.
    pub(in crate::pool) fn forget(&self, is_idle: impl Fn(&ModelLane) -> bool) {
        let present = self.lanes.load_full();
        // A lease holds its lane, so the counts of its response go where the next request finds them.
        let unused = present.values().filter(|lane| Arc::strong_count(lane) == 1);
        let idle: Vec<_> = unused.filter(|lane| is_idle(lane)).map(|lane| &lane.model).collect();
        self.lanes.rcu(|lanes| {
            let kept = lanes.iter().filter(|(model, _)| !idle.contains(model));
            kept.map(|(model, lane)| (model.clone(), Arc::clone(lane))).collect::<HashMap<_, _>>()
        });
    }

    /// Returns the lane of a model, and marks it as recently used. Creates the lane if it does not exist.
    pub(in crate::pool) fn touch(
        &self,
        model: &ModelId,
        now: u64,
        make: impl FnOnce() -> ModelLane,
    ) -> Arc<ModelLane> {
        match self.get(model) {
            Some(lane) => {
                lane.touched.fetch_max(now, Ordering::Relaxed);
                lane
            }
            None => self.insert(make()),
        }
    }

    /// Inserts a lane. Returns the lane that is in the map in the end, which another thread may have inserted
    /// first.
    fn insert(&self, lane: ModelLane) -> Arc<ModelLane> {
        let lane = Arc::new(lane);
        let mut present = Arc::clone(&lane);
        self.lanes.rcu(|lanes| {
            let mut lanes = HashMap::clone(lanes);
            if let Some(other) = lanes.get(&lane.model) {
                present = Arc::clone(other);
                return lanes;
            }
            present = Arc::clone(&lane);
            if lanes.len() >= self.cap {
                remove_oldest(&mut lanes);
            }
            lanes.insert(lane.model.clone(), Arc::clone(&lane));
            lanes
        });
        present
    }
}

fn remove_oldest(lanes: &mut HashMap<ModelId, Arc<ModelLane>>) {
    let oldest = lanes.values().min_by_key(|lane| lane.touched.load(Ordering::Relaxed));
    if let Some(model) = oldest.map(|lane| lane.model.clone()) {
        lanes.remove(&model);
    }
}

impl ModelLane {
    pub(in crate::pool) fn new(model: ModelId, ledgers: Arc<ModelLedgers>, keys: usize, now: u64) -> Self {
        Self {
            model,
            bits: Lane::new(keys),
            keys: (0..keys).map(|_| Slot::default()).collect(),
            accounts: ledgers.accounts.iter().map(|_| Slot::default()).collect(),
            ledgers,
            tally: Tally::default(),
            chorus: Chorus::new(keys),
            line: Line::default(),
            outage: Outage::default(),
            touched: AtomicU64::new(now),
        }
    }
}
