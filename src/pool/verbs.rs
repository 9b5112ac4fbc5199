//! The operator's verbs, apart from those that change the keys: see `operate` for their meaning.

use crate::clock::{Moment, Timestamp};
use crate::event::{OperatorEvent, Severity};
use crate::key::KeyId;
use crate::limits::Ledger;
use crate::pool::KeyPool;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::refresh::new_model_state;
use crate::pool::learn::outage as auth_outage;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, FOREVER};
use crate::pool::share::{note_forced, note_recount, note_reset, switch_key};
use crate::pool::state::register::Switch;
use crate::provider::ModelId;

/// An error: no key of the pool has this id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key is named {0}: see the ids in the pool's snapshot")]
pub struct UnknownKey(KeyId);

/// See [`KeyPool::reset`].
pub(in crate::pool) fn reset(pool: &KeyPool, key: &KeyId) -> Result<(), UnknownKey> {
    let set = pool.0.set.load();
    let found = find(&set, key)?;
    reset_key(&set, found, Moment::now());
    note_reset(pool, &set, [found]);
    auth_outage::note(&set);
    pool.0.common.released.tell();
    pool.emit(Severity::Change, || OperatorEvent::Reset { key: Some(key.clone()) }.into());
    Ok(())
}

/// See [`KeyPool::reset_all`].
pub(in crate::pool) fn reset_all(pool: &KeyPool) {
    let set = pool.0.set.load();
    let now = Moment::now();
    set.live().for_each(|key| reset_key(&set, key, now));
    note_reset(pool, &set, set.live());
    auth_outage::note(&set);
    pool.0.common.released.tell();
    pool.emit(Severity::Change, || OperatorEvent::Reset { key: None }.into());
}

/// See [`KeyPool::probe_all`].
pub(in crate::pool) fn probe_all(pool: &KeyPool) {
    let set = pool.0.set.load();
    let (models, now) = (set.common.models.all(), Moment::now().as_unix_ms());
    for key in set.live() {
        let lanes = std::iter::once(None).chain(models.iter().map(|model_state| Some(&**model_state)));
        for candidate in lanes.map(|lane| Candidate::new(&set, lane, key)) {
            for level in Level::ALL {
                let slot = candidate.slot(level).filter(|slot| slot.state().cause != Some(Cause::Forced));
                slot.into_iter().for_each(|slot| slot.end_bench(now));
                candidate.sync(level, now);
            }
        }
    }
    auth_outage::note(&set);
    pool.0.common.released.tell();
}

/// See [`KeyPool::reset_quota`].
pub(in crate::pool) fn reset_quota(
    pool: &KeyPool,
    key: &KeyId,
    model: Option<&ModelId>,
) -> Result<(), UnknownKey> {
    let set = pool.0.set.load();
    let (found, now) = (find(&set, key)?, Moment::now());
    let model_states = set.common.models.all();
    let model_states =
        model_states.iter().filter(|model_state| model.is_none_or(|model| model_state.model == *model));
    let levels = if model.is_some() { &Level::OF_MODEL[..] } else { &Level::ALL };
    for model_state in
        model_states.map(|model_state| Some(&**model_state)).chain(model.is_none().then_some(None))
    {
        recount(Candidate::new(&set, model_state, found), levels, now);
    }
    note_recount(pool, &set, found, model);
    pool.0.common.released.tell();
    let (key, model) = (key.clone(), model.cloned());
    pool.emit(Severity::Change, || OperatorEvent::QuotaReset { key, model }.into());
    Ok(())
}

/// See [`KeyPool::cool_down_until`].
pub(in crate::pool) fn cool_down_from(
    pool: &KeyPool,
    id: &KeyId,
    model: Option<&ModelId>,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), UnknownKey> {
    let set = pool.0.set.load();
    let key = find(&set, id)?;
    let model_state = model.map(|model| new_model_state(&set, model, now));
    let candidate = Candidate::new(&set, model_state.as_deref(), key);
    let level = if model.is_some() { Level::KeyModel } else { Level::Key };
    if let Some(slot) = candidate.slot(level) {
        // A cooldown without an end would be like disabling the key, so it is capped.
        let until = until.as_unix_ms().min(FOREVER - 1);
        slot.force(until, now.as_unix_ms());
        candidate.sync(level, now.as_unix_ms());
        note_forced(pool, &set, candidate, candidate.model_at(level), until);
    }
    let wait = until.saturating_since(now);
    let (key, model) = (id.clone(), model.cloned());
    pool.emit(Severity::Change, || OperatorEvent::ForcedCooldown { key, model, wait }.into());
    Ok(())
}

/// See [`KeyPool::disable`], [`KeyPool::enable`] and [`KeyPool::drain`].
pub(in crate::pool) fn switch(pool: &KeyPool, key: &KeyId, switch: Switch) -> Result<(), UnknownKey> {
    let set = pool.0.set.load();
    let (now, disabled) = (Timestamp::now().as_unix_ms(), switch != Switch::Enabled);
    let candidate = Candidate::new(&set, None, find(&set, key)?);
    switch_key(pool, &set, candidate, switch);
    candidate.sync(Level::Key, now);
    auth_outage::note(&set);
    pool.0.common.released.tell();
    let key = key.clone();
    pool.emit(Severity::Change, || match disabled {
        true => OperatorEvent::Disabled { key }.into(),
        false => OperatorEvent::Enabled { key }.into(),
    });
    Ok(())
}

/// Returns the number of the key with this id.
pub(in crate::pool) fn find(set: &KeySet, id: &KeyId) -> Result<usize, UnknownKey> {
    set.live().find(|key| set.keys[*key].id == *id).ok_or_else(|| UnknownKey(id.clone()))
}

fn reset_key(set: &KeySet, key: usize, at: Moment) {
    let (models, now) = (set.common.models.all(), at.as_unix_ms());
    let model_states = std::iter::once(None).chain(models.iter().map(|model_state| Some(&**model_state)));
    set.common.provisionals().forget(key);
    set.common.shared_limit.clear();
    for model_state in &models {
        model_state.shared_limit.clear();
    }
    for candidate in model_states.map(|model| Candidate::new(set, model, key)) {
        for level in Level::ALL {
            if let Some(slot) = candidate.slot(level) {
                slot.reset(now);
                candidate.ledger(level).into_iter().for_each(Ledger::forget);
            }
        }
        recount(candidate, &Level::ALL, at);
    }
}

fn recount(candidate: Candidate<'_>, levels: &[Level], now: Moment) {
    for &level in levels {
        candidate.ledger(level).into_iter().for_each(|ledger| ledger.recount(now));
        candidate.sync(level, now.as_unix_ms());
    }
}
