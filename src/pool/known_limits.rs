//! What is known of the limits of keys, for snapshots.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::models::ModelLane;
use super::place::{Level, Place};
use super::tally::UsageSnapshot;
use crate::clock::{Moment, Timestamp};
use crate::limits::Reading;
use crate::provider::ModelId;

/// What is left of a key's limits for one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelLimits {
    /// The model.
    pub model: ModelId,
    /// Its limits, declared ones first; those of the key's account are the same for all its keys.
    pub limits: Vec<Reading>,
}

/// What answers for one model took, of all keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelUsage {
    /// The model.
    pub model: ModelId,
    /// What they took.
    pub usage: UsageSnapshot,
}

/// What is left of the limits of these levels.
pub(super) fn readings(place: Place<'_>, levels: [Level; 2], now: Moment) -> Vec<Reading> {
    levels
        .into_iter()
        .filter_map(|level| place.ledger(level))
        .flat_map(|ledger| ledger.readings(now))
        .collect()
}

pub(super) fn by_model(place: Place<'_>, lanes: &[Arc<ModelLane>], now: Moment) -> Vec<ModelLimits> {
    let of = |lane: &Arc<ModelLane>| {
        let limits = readings(Place { model: Some(lane), ..place }, Level::OF_MODEL, now);
        (!limits.is_empty()).then(|| ModelLimits { model: lane.model.clone(), limits })
    };
    lanes.iter().filter_map(of).collect()
}

/// The models of which more is known than their names.
pub(super) fn usage(lanes: &[Arc<ModelLane>], now: Timestamp) -> Vec<ModelUsage> {
    let of = |lane: &Arc<ModelLane>| ModelUsage { model: lane.model.clone(), usage: lane.tally.usage(now) };
    let mut usage: Vec<_> = lanes.iter().map(of).collect();
    usage.sort_by(|one, other| one.model.as_str().cmp(other.model.as_str()));
    usage
}
