//! What is known about single models.
//!
//! A limit on one model must not bench a key for another, so each model that was ever at fault, or whose
//! limits are known, has a lane, slots and ledgers of its own. They come into being with the first such news:
//! a pool that never hears any pays an empty look-up. Their number is bounded; the one of which nothing has
//! been heard for the longest time goes first, and with it at most what the provider will tell again: what is
//! counted of declared limits stays (see [`model_counters`](super::model_counters)).

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::chorus::Chorus;
use super::lane::Lane;
use super::model_counters::ModelLedgers;
use super::outage::Outage;
use super::slot::Slot;
use super::tally::Tally;
use super::wait::Line;
use crate::provider::ModelId;
use crate::sync::{AtomicU64, Ordering};

pub(super) struct ModelLanes {
    lanes: ArcSwap<HashMap<ModelId, Arc<ModelLane>>>,
    cap: usize,
}

pub(super) struct ModelLane {
    pub(super) model: ModelId,
    /// What is closed for this model only.
    pub(super) bits: Lane,
    pub(super) keys: Box<[Slot]>,
    pub(super) accounts: Box<[Slot]>,
    /// Its limits, which names that are counted together share.
    pub(super) ledgers: Arc<ModelLedgers>,
    /// What answers took.
    pub(super) tally: Tally,
    pub(super) chorus: Chorus,
    /// Who waits for a key for it.
    pub(super) line: Line,
    pub(super) outage: Outage,
    /// When something was last learned of it, in milliseconds since the Unix epoch: who goes when it gets
    /// crowded.
    touched: AtomicU64,
}

const TOUCH_EVERY_MS: u64 = 1_000;

impl ModelLanes {
    pub(super) fn new(cap: usize) -> Self {
        Self { lanes: ArcSwap::default(), cap }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.load().is_empty()
    }

    pub(super) fn get(&self, model: &ModelId) -> Option<Arc<ModelLane>> {
        self.lanes.load().get(model).cloned()
    }

    /// The same, for a request: a model that is asked for is not the first to go.
    pub(super) fn get_used(&self, model: &ModelId, now: u64) -> Option<Arc<ModelLane>> {
        let lane = self.get(model)?;
        // Written rarely, for every request reads it.
        if lane.touched.load(Ordering::Relaxed).saturating_add(TOUCH_EVERY_MS) < now {
            lane.touched.fetch_max(now, Ordering::Relaxed);
        }
        Some(lane)
    }

    pub(super) fn all(&self) -> Vec<Arc<ModelLane>> {
        self.lanes.load().values().cloned().collect()
    }

    /// Removes the lanes that nobody uses and that are idle.
    pub(super) fn forget(&self, is_idle: impl Fn(&ModelLane) -> bool) {
        let present = self.lanes.load_full();
        // A lease has its lane, so that what a request still owes is counted where the next finds it.
        let unused = present.values().filter(|lane| Arc::strong_count(lane) == 1);
        let idle: Vec<_> = unused.filter(|lane| is_idle(lane)).map(|lane| &lane.model).collect();
        self.lanes.rcu(|lanes| {
            let kept = lanes.iter().filter(|(model, _)| !idle.contains(model));
            kept.map(|(model, lane)| (model.clone(), Arc::clone(lane))).collect::<HashMap<_, _>>()
        });
    }

    /// The lane of a model of which something is known now, made if need be.
    pub(super) fn touch(
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

    /// The lane that is in the map in the end, which another thread may have put there first.
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
    pub(super) fn new(model: ModelId, ledgers: Arc<ModelLedgers>, keys: usize, now: u64) -> Self {
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
