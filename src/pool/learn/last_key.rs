//! The last usable key: whether a cooldown in doubt would take it from other requests.

use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::model::ModelState;
use crate::pool::lease::undo::Target;
use crate::pool::scope::level::Level;

/// Returns whether another key stays usable without a probe, for every model that the scope concerns.
pub(super) fn leaves_a_key(target: &Target, now: u64) -> bool {
    let models = if target.level.is_model() { Vec::new() } else { target.set.common.models.all() };
    leaves_one_for(target, target.model_state.as_deref(), now)
        && models.iter().all(|model_state| leaves_one_for(target, Some(model_state), now))
}

fn leaves_one_for(target: &Target, model_state: Option<&ModelState>, now: u64) -> bool {
    let members = target.members();
    let candidate = |key: usize| Candidate::new(&target.set, model_state, key);
    let is_lost = |key: &usize| candidate(*key).is_open(now);
    let model = model_state.map(|model_state| &model_state.model);
    let served = target.set.serving.as_ref().map(|serving| serving.mask(model, None));
    let may_serve = |key: &usize| served.as_ref().is_none_or(|served| served.has(*key));
    let mut others = target.set.live().filter(|key| !members.contains(key) && may_serve(key));
    others.any(|key| is_sound(candidate(key), now)) || !members.iter().any(is_lost)
}

/// Returns whether the key is usable, and has no cause for a cooldown.
fn is_sound(candidate: Candidate<'_>, now: u64) -> bool {
    let is_free = |level: Level| candidate.state(level).cause.is_none();
    candidate.is_open(now) && Level::ALL.into_iter().all(is_free)
}
