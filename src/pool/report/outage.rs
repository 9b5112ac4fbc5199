//! Outage events: a pool, or one of its models, has no usable key.
//!
//! An outage is reported once when it begins and once when it ends, not for each request that meets it. It
//! begins with a request that fails because no key is usable, unless that is only for a moment. It ends when
//! a request that began later is served. Nothing runs in the background.

use std::time::Duration;

use crate::clock::{Moment, Timestamp};
use crate::event::{EventKind, Severity};
use crate::pool::acquire::exhausted::Exhausted;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::provider::ModelId;

/// Minimum wait that counts as an outage. Limits that are paced leave shorter gaps between any two requests.
const BRIEF: Duration = Duration::from_secs(1);

/// Records that a request failed because no key was usable. Emits an event if that begins an outage.
pub(in crate::pool) fn begin(set: &KeySet, model: Option<&ModelId>, attempts: usize, found: &Exhausted) {
    let retry_after = found.retry_after();
    if found.is_probing() || retry_after.is_some_and(|wait| wait < BRIEF) {
        return;
    }
    let common = &set.common;
    let model_state = model.and_then(|model| set.common.models.get(model));
    let outage = model_state.as_ref().map_or(&common.outage, |model_state| &model_state.outage);
    // An outage of the pool includes all models.
    if !common.outage.is_known() && outage.begin(Timestamp::now()) {
        let model = model.cloned();
        common.emit(Severity::Alarm, || EventKind::Exhausted { model, attempts, retry_after });
    }
}

/// Ends the outages of the pool and of the model after a request that began at `began` was served.
pub(in crate::pool) fn end(set: &KeySet, model_state: Option<&ModelState>, began: Moment, now: Timestamp) {
    let (common, began) = (&set.common, Timestamp::from(began));
    if let Some(after) = common.outage.end(began, now) {
        common.emit(Severity::Change, || EventKind::Available { model: None, after });
    }
    if let Some(model_state) = model_state
        && let Some(after) = model_state.outage.end(began, now)
    {
        common.emit(Severity::Change, || EventKind::Available {
            model: Some(model_state.model.clone()),
            after,
        });
    }
}
