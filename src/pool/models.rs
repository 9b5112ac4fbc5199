//! What is known about single models.
//!
//! A limit on one model must not bench a key for another, so each model that was ever at fault has a lane
//! and slots of its own. They come into being with the first such fault: a pool that never sees one pays
//! an empty look-up. Their number is bounded; the one that has been at fault the longest ago goes first,
//! and with it at most a cooldown that the provider will tell again.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::lane::Lane;
use super::slot::Slot;
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
    /// Who waits for a key for it.
    pub(super) line: Line,
    /// When a fault last concerned it, in milliseconds since the Unix epoch: who goes when it gets crowded.
    at_fault: AtomicU64,
}

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

    pub(super) fn all(&self) -> Vec<Arc<ModelLane>> {
        self.lanes.load().values().cloned().collect()
    }

    /// The lane of a model that is at fault now.
    pub(super) fn at_fault(&self, model: &ModelId, keys: usize, accounts: usize, now: u64) -> Arc<ModelLane> {
        match self.get(model) {
            Some(lane) => {
                lane.at_fault.fetch_max(now, Ordering::Relaxed);
                lane
            }
            None => self.insert(ModelLane::new(model.clone(), keys, accounts, now)),
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
    let oldest = lanes.values().min_by_key(|lane| lane.at_fault.load(Ordering::Relaxed));
    if let Some(model) = oldest.map(|lane| lane.model.clone()) {
        lanes.remove(&model);
    }
}

impl ModelLane {
    fn new(model: ModelId, keys: usize, accounts: usize, now: u64) -> Self {
        Self {
            model,
            bits: Lane::new(keys),
            keys: (0..keys).map(|_| Slot::default()).collect(),
            accounts: (0..accounts).map(|_| Slot::default()).collect(),
            line: Line::default(),
            at_fault: AtomicU64::new(now),
        }
    }
}
