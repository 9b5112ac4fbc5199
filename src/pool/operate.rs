//! Operations on keys: reset, disable, enable, cool down. See `reload` for those that change the keys.

use std::time::Duration;

use crate::clock::{Moment, Timestamp};
use crate::event::{EventKind, Severity};
use crate::key::KeyId;
use crate::limits::Ledger;
use crate::pool::KeyPool;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::refresh::new_model_state;
use crate::pool::learn::outage as auth_outage;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::FOREVER;
use crate::provider::ModelId;

/// An error: no key of the pool has this id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key is named {0}: see the ids in the pool's snapshot")]
pub struct UnknownKey(KeyId);

impl KeyPool {
    /// Ends every cooldown of a key and of its account, for all models, and resets their limits: the limits
    /// that responses reported and the counts of declared limits are forgotten. Reports of attempts that
    /// began before have no effect. A key that is [disabled](Self::disable) stays disabled.
    ///
    /// [`reset_quota`](Self::reset_quota) resets only the declared limits, and leaves cooldowns as they are.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    pub fn reset(&self, key: &KeyId) -> Result<(), UnknownKey> {
        let set = self.0.set.load();
        let found = find(&set, key)?;
        reset(&set, found, Moment::now());
        self.note_reset(&set, [found]);
        auth_outage::note(&set);
        self.0.common.released.tell();
        self.emit(Severity::Change, || EventKind::Reset { key: Some(key.clone()) });
        Ok(())
    }

    /// Resets every key, as [`reset`](Self::reset) does for one.
    pub fn reset_all(&self) {
        let set = self.0.set.load();
        let now = Moment::now();
        set.live().for_each(|key| reset(&set, key, now));
        self.note_reset(&set, set.live());
        auth_outage::note(&set);
        self.0.common.released.tell();
        self.emit(Severity::Change, || EventKind::Reset { key: None });
    }

    /// Resets the counts of the declared limits of a key and of its account: those for one model if `model`
    /// is given, and all otherwise. Requests in flight keep their places in a concurrency limit. Cooldowns,
    /// and limits that responses reported, stay.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    pub fn reset_quota(&self, key: &KeyId, model: Option<&ModelId>) -> Result<(), UnknownKey> {
        let set = self.0.set.load();
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
        self.note_recount(&set, found, model);
        self.0.common.released.tell();
        self.emit(Severity::Change, || EventKind::QuotaReset { key: key.clone(), model: model.cloned() });
        Ok(())
    }

    /// Takes a key out of use until it is [enabled](Self::enable). Its requests in flight go on.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    pub fn disable(&self, key: &KeyId) -> Result<(), UnknownKey> {
        self.set_disabled(key, true)
    }

    /// Takes a [disabled](Self::disable) key into use again, in the state that it was in.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    pub fn enable(&self, key: &KeyId) -> Result<(), UnknownKey> {
        self.set_disabled(key, false)
    }

    /// Puts a key into a cooldown of at least `wait`, for one model if `model` is given and for all
    /// otherwise. A longer cooldown stays as it is. At its end the key is probed, as after a limit that the
    /// provider named. Requests in flight go on, and their success does not end the cooldown.
    /// [`reset`](Self::reset) ends it.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    pub fn cool_down(&self, key: &KeyId, model: Option<&ModelId>, wait: Duration) -> Result<(), UnknownKey> {
        let now = Timestamp::now();
        self.cool_down_from(key, model, now, now.saturating_add(wait))
    }

    /// Puts a key into a cooldown until at least `until`, like [`cool_down`](Self::cool_down). A time in the
    /// past lets the next request probe the key.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_key_rotation::clock::Timestamp;
    /// use tower_key_rotation::{ApiKey, KeyPool, Provider};
    ///
    /// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
    /// let until = Timestamp::now().saturating_add(Duration::from_secs(600));
    /// pool.cool_down_until(&"one".into(), None, until)?;
    /// assert_eq!(pool.usable(None), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cool_down_until(
        &self,
        key: &KeyId,
        model: Option<&ModelId>,
        until: Timestamp,
    ) -> Result<(), UnknownKey> {
        self.cool_down_from(key, model, Timestamp::now(), until)
    }

    fn cool_down_from(
        &self,
        id: &KeyId,
        model: Option<&ModelId>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), UnknownKey> {
        let set = self.0.set.load();
        let key = find(&set, id)?;
        let model_state = model.map(|model| new_model_state(&set, model, now));
        let candidate = Candidate::new(&set, model_state.as_deref(), key);
        let level = if model.is_some() { Level::KeyModel } else { Level::Key };
        if let Some(slot) = candidate.slot(level) {
            // A cooldown without an end would be like disabling the key, so it is capped.
            slot.cool_down(until.as_unix_ms().min(FOREVER - 1), now.as_unix_ms());
            candidate.sync(level, now.as_unix_ms());
        }
        let wait = until.saturating_since(now);
        self.emit(Severity::Change, || EventKind::ForcedCooldown {
            key: id.clone(),
            model: model.cloned(),
            wait,
        });
        Ok(())
    }

    fn set_disabled(&self, key: &KeyId, disabled: bool) -> Result<(), UnknownKey> {
        let set = self.0.set.load();
        let now = Timestamp::now().as_unix_ms();
        let candidate = Candidate::new(&set, None, find(&set, key)?);
        candidate.key().set_disabled(disabled, now);
        self.note_disabled(&set, candidate.key, disabled);
        candidate.sync(Level::Key, now);
        auth_outage::note(&set);
        self.0.common.released.tell();
        self.emit(Severity::Change, || match key.clone() {
            key if disabled => EventKind::Disabled { key },
            key => EventKind::Enabled { key },
        });
        Ok(())
    }
}

/// Returns the number of the key with this id.
pub(in crate::pool) fn find(set: &KeySet, id: &KeyId) -> Result<usize, UnknownKey> {
    set.live().find(|key| set.keys[*key].id == *id).ok_or_else(|| UnknownKey(id.clone()))
}

fn reset(set: &KeySet, key: usize, at: Moment) {
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
