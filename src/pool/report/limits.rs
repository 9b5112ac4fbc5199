//! The limits and usage of keys, for snapshots.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::{Moment, Timestamp};
use crate::limits::LimitStatus;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::model::ModelState;
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
    pub limits: Vec<LimitStatus>,
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
pub(in crate::pool) fn statuses(
    candidate: Candidate<'_>,
    levels: [Level; 2],
    now: Moment,
) -> Vec<LimitStatus> {
    levels
        .into_iter()
        .filter_map(|level| candidate.ledger(level))
        .flat_map(|ledger| ledger.statuses(now))
        .collect()
}

pub(in crate::pool) fn by_model(
    candidate: Candidate<'_>,
    model_states: &[Arc<ModelState>],
    now: Moment,
) -> Vec<ModelLimits> {
    let of = |model_state: &Arc<ModelState>| {
        let limits = statuses(Candidate { model: Some(model_state), ..candidate }, Level::OF_MODEL, now);
        (!limits.is_empty()).then(|| ModelLimits { model: model_state.model.clone(), limits })
    };
    model_states.iter().filter_map(of).collect()
}

/// Returns the usage of all tracked models, sorted by name.
pub(in crate::pool) fn usage(model_states: &[Arc<ModelState>], now: Timestamp) -> Vec<ModelUsage> {
    let of = |model_state: &Arc<ModelState>| ModelUsage {
        model: model_state.model.clone(),
        usage: model_state.usage_counters.usage(now),
    };
    let mut usage: Vec<_> = model_states.iter().map(of).collect();
    usage.sort_by(|one, other| one.model.as_str().cmp(other.model.as_str()));
    usage
}
