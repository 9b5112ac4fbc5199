//! The limits and usage of keys, for snapshots.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::{Moment, Timestamp};
use crate::limits::Reading;
use crate::pool::keys::candidate::Place;
use crate::pool::keys::model::ModelLane;
use crate::pool::keys::usage::UsageSnapshot;
use crate::pool::scope::level::Level;
use crate::provider::ModelId;

/// The limits of a key for one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelLimits {
    /// The model.
    pub model: ModelId,
    /// The limits, declared ones first. Limits of the key's account are the same for all its keys.
    pub limits: Vec<Reading>,
}

/// The usage of one model, over all keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelUsage {
    /// The model.
    pub model: ModelId,
    /// Usage of the responses for this model.
    pub usage: UsageSnapshot,
}

/// Returns the status of the limits of these scopes.
pub(in crate::pool) fn readings(place: Place<'_>, levels: [Level; 2], now: Moment) -> Vec<Reading> {
    levels
        .into_iter()
        .filter_map(|level| place.ledger(level))
        .flat_map(|ledger| ledger.readings(now))
        .collect()
}

pub(in crate::pool) fn by_model(place: Place<'_>, lanes: &[Arc<ModelLane>], now: Moment) -> Vec<ModelLimits> {
    let of = |lane: &Arc<ModelLane>| {
        let limits = readings(Place { model: Some(lane), ..place }, Level::OF_MODEL, now);
        (!limits.is_empty()).then(|| ModelLimits { model: lane.model.clone(), limits })
    };
    lanes.iter().filter_map(of).collect()
}

/// Returns the usage of all tracked models, sorted by name.
pub(in crate::pool) fn usage(lanes: &[Arc<ModelLane>], now: Timestamp) -> Vec<ModelUsage> {
    let of = |lane: &Arc<ModelLane>| ModelUsage { model: lane.model.clone(), usage: lane.tally.usage(now) };
    let mut usage: Vec<_> = lanes.iter().map(of).collect();
    usage.sort_by(|one, other| one.model.as_str().cmp(other.model.as_str()));
    usage
}
