//! Operations on keys: reset, disable, enable, cool down.

use std::time::Duration;

use crate::clock::{Moment, Timestamp};
use crate::event::{Kind, Severity};
use crate::key::KeyId;
use crate::limits::Ledger;
use crate::pool::KeyPool;
use crate::pool::keys::candidate::Place;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::refresh::new_lane;
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
        reset(&set, find(&set, key)?, Moment::now());
        self.0.common.suspicion.note(&set);
        self.0.common.freed.tell();
        self.emit(Severity::Change, || Kind::Reset { key: Some(key.clone()) });
        Ok(())
    }

    /// Resets every key, as [`reset`](Self::reset) does for one.
    pub fn reset_all(&self) {
        let set = self.0.set.load();
        let now = Moment::now();
        (0..set.keys.len()).for_each(|key| reset(&set, key, now));
        self.0.common.suspicion.note(&set);
        self.0.common.freed.tell();
        self.emit(Severity::Change, || Kind::Reset { key: None });
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
        let lanes = set.models.all();
        let lanes = lanes.iter().filter(|lane| model.is_none_or(|model| lane.model == *model));
        let levels = if model.is_some() { &Level::OF_MODEL[..] } else { &Level::ALL };
        for lane in lanes.map(|lane| Some(&**lane)).chain(model.is_none().then_some(None)) {
            recount(Place::new(&set, lane, found), levels, now);
        }
        self.0.common.freed.tell();
        self.emit(Severity::Change, || Kind::Reset { key: Some(key.clone()) });
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
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    pub fn cool_down(&self, key: &KeyId, model: Option<&ModelId>, wait: Duration) -> Result<(), UnknownKey> {
        let set = self.0.set.load();
        let key = find(&set, key)?;
        let now = Timestamp::now();
        let until = now.saturating_add(wait).as_unix_ms();
        let now = now.as_unix_ms();
        let lane = model.map(|model| new_lane(&set, model, Timestamp::from_unix_ms(now)));
        let place = Place::new(&set, lane.as_deref(), key);
        let level = if model.is_some() { Level::KeyModel } else { Level::Key };
        if let Some(slot) = place.slot(level) {
            // A cooldown without an end would be like disabling the key, so it is capped.
            slot.cool_down(until.min(FOREVER - 1), now);
            place.follow(level, now);
        }
        Ok(())
    }

    fn set_disabled(&self, key: &KeyId, disabled: bool) -> Result<(), UnknownKey> {
        let set = self.0.set.load();
        let now = Timestamp::now().as_unix_ms();
        let place = Place::new(&set, None, find(&set, key)?);
        place.key().set_disabled(disabled, now);
        place.follow(Level::Key, now);
        self.0.common.suspicion.note(&set);
        self.0.common.freed.tell();
        self.emit(Severity::Change, || match key.clone() {
            key if disabled => Kind::Disabled { key },
            key => Kind::Enabled { key },
        });
        Ok(())
    }
}

fn find(set: &KeySet, id: &KeyId) -> Result<usize, UnknownKey> {
    set.keys.iter().position(|key| key.id == *id).ok_or_else(|| UnknownKey(id.clone()))
}

fn reset(set: &KeySet, key: usize, at: Moment) {
    let (models, now) = (set.models.all(), at.as_unix_ms());
    let lanes = std::iter::once(None).chain(models.iter().map(|lane| Some(&**lane)));
    set.doubts().forget(key);
    set.chorus.clear();
    for lane in &models {
        lane.chorus.clear();
    }
    for place in lanes.map(|model| Place::new(set, model, key)) {
        for level in Level::ALL {
            if let Some(slot) = place.slot(level) {
                slot.reset(now);
                place.ledger(level).into_iter().for_each(Ledger::forget);
            }
        }
        recount(place, &Level::ALL, at);
    }
}

fn recount(place: Place<'_>, levels: &[Level], now: Moment) {
    for &level in levels {
        place.ledger(level).into_iter().for_each(|ledger| ledger.recount(now));
        place.follow(level, now.as_unix_ms());
    }
}
