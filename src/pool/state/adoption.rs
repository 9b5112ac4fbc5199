//! The scopes of a pool that a register of another process concerns.

use std::sync::Arc;

use crate::clock::Moment;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::scope::level::Level;
use crate::pool::state::field::Field;
use crate::pool::state::owner::Owner;
use crate::pool::state::present::{Present, levels};
use crate::pool::state::register::Register;
use crate::pool::state::replica::Replica;
use crate::provider::ModelId;

/// A register that was raised.
pub(in crate::pool) struct Raised {
    pub(in crate::pool) field: Field,
    pub(in crate::pool) before: Register,
    pub(in crate::pool) after: Register,
}

/// The registers, and the pool that is brought in line with them.
pub(in crate::pool) struct Adoption<'a> {
    pub(in crate::pool) replica: &'a Replica,
    pub(in crate::pool) set: &'a Arc<KeySet>,
    pub(in crate::pool) present: &'a Present,
    pub(in crate::pool) now: Moment,
}

// === impl Adoption ===

impl Adoption<'_> {
    /// Returns the scope of an owner, for a model if one is given. `None` if the pool has no such key or lane.
    pub(in crate::pool) fn scope<'a>(
        &'a self,
        owner: &Owner,
        model: Option<&ModelId>,
        lane: Option<&'a ModelState>,
    ) -> Option<(Candidate<'a>, Level)> {
        let (of_key, of_model) = levels(owner);
        let level = if model.is_some() { of_model } else { of_key };
        let key = self.present.key(owner)?;
        (model.is_some() == lane.is_some()).then(|| (Candidate::new(self.set, lane, key), level))
    }

    /// Passes the scopes of an owner to `change`: those of one model, or all.
    pub(in crate::pool) fn each_scope(
        &self,
        owner: &Owner,
        model: Option<&ModelId>,
        change: impl Fn(Candidate<'_>, Level),
    ) {
        let Some(key) = self.present.key(owner) else { return };
        let (of_key, of_model) = levels(owner);
        if model.is_none() {
            change(Candidate::new(self.set, None, key), of_key);
        }
        for lane in self.set.common.models.all() {
            let is_meant = |model: &ModelId| model.as_str().eq_ignore_ascii_case(lane.model.as_str());
            if model.is_none_or(is_meant) {
                change(Candidate::new(self.set, Some(&lane), key), of_model);
            }
        }
    }
}
