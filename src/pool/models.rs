//! What is known about single models.
//!
//! A limit on one model must not bench a key for another, so each model that was ever at fault, or whose
//! limits are known, has a lane, slots and ledgers of its own. They come into being with the first such news:
//! a pool that never hears any pays an empty look-up. Their number is bounded; the one of which nothing has
//! been heard for the longest time goes first, and with it at most what the provider will tell again, and what
//! was counted of a declared quota: a pool with quotas per model should have room for all its models.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::chorus::Chorus;
use super::lane::Lane;
use super::slot::Slot;
use super::tally::Tally;
use super::wait::Line;
use crate::limits::Ledger;
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
    /// Limits of this model, by account; each made when the first is known.
    pub(super) account_ledgers: Box<[OnceLock<Box<Ledger>>]>,
    /// Limits declared for single keys; empty if there are none.
    pub(super) key_ledgers: Box<[Option<Box<Ledger>>]>,
    /// What answers took.
    pub(super) tally: Tally,
    pub(super) chorus: Chorus,
    /// Who waits for a key for it.
    pub(super) line: Line,
    /// When something was last learned of it, in milliseconds since the Unix epoch: who goes when it gets
    /// crowded.
    touched: AtomicU64,
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
    /// `accounts` and `keys` are their ledgers, where there are any yet.
    pub(super) fn new(
        model: ModelId,
        account_ledgers: Box<[OnceLock<Box<Ledger>>]>,
        key_ledgers: Box<[Option<Box<Ledger>>]>,
        keys: usize,
        now: u64,
    ) -> Self {
        Self {
            model,
            bits: Lane::new(keys),
            keys: (0..keys).map(|_| Slot::default()).collect(),
            accounts: account_ledgers.iter().map(|_| Slot::default()).collect(),
            account_ledgers,
            key_ledgers,
            tally: Tally::default(),
            chorus: Chorus::new(keys),
            line: Line::default(),
            touched: AtomicU64::new(now),
        }
    }
}
