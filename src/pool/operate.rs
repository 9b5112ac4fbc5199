//! Operations on keys (reset, disable, enable, cool down), and reports about them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::classify::Reason;
use crate::clock::{Moment, Timestamp};
use crate::event::{EventKind, Severity, Subscription};
use crate::key::KeyId;
use crate::limits::Ledger;
use crate::pool::KeyPool;
use crate::pool::acquire::availability::exhausted;
use crate::pool::acquire::exhausted::Exhausted;
use crate::pool::acquire::held;
use crate::pool::acquire::request::AcquireRequest;
use crate::pool::acquire::usable::count_usable;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::refresh::new_model_state;
use crate::pool::learn::outage as auth_outage;
#[cfg(feature = "metrics")]
use crate::pool::report::metrics;
use crate::pool::report::outage;
use crate::pool::report::snapshot;
use crate::pool::report::snapshot::PoolSnapshot;
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
        self.0.common.released.tell();
        self.emit(Severity::Change, || EventKind::Reset { key: Some(key.clone()) });
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
        let model_state = model.map(|model| new_model_state(&set, model, Timestamp::from_unix_ms(now)));
        let candidate = Candidate::new(&set, model_state.as_deref(), key);
        let level = if model.is_some() { Level::KeyModel } else { Level::Key };
        if let Some(slot) = candidate.slot(level) {
            // A cooldown without an end would be like disabling the key, so it is capped.
            slot.cool_down(until.min(FOREVER - 1), now);
            candidate.sync(level, now);
        }
        Ok(())
    }

    fn set_disabled(&self, key: &KeyId, disabled: bool) -> Result<(), UnknownKey> {
        let set = self.0.set.load();
        let now = Timestamp::now().as_unix_ms();
        let candidate = Candidate::new(&set, None, find(&set, key)?);
        candidate.key().set_disabled(disabled, now);
        candidate.sync(Level::Key, now);
        auth_outage::note(&set);
        self.0.common.released.tell();
        self.emit(Severity::Change, || match key.clone() {
            key if disabled => EventKind::Disabled { key },
            key => EventKind::Enabled { key },
        });
        Ok(())
    }

    // === reports ===

    /// Returns the state of the pool now.
    pub fn snapshot(&self) -> PoolSnapshot {
        snapshot::snapshot(&self.0.set.load(), Timestamp::now())
    }

    /// Returns the number of keys that an attempt could use now, if only for a probe. These keys are enabled,
    /// are in no cooldown, wait for no probe, and have room in all known limits.
    ///
    /// With a model, its cooldowns and limits count too, and keys that may not be used for it do not; an unknown model adds none. Without one, only state
    /// that applies to every model counts.
    ///
    /// The method takes no snapshot and allocates nothing. It costs a few loads for each key, whatever the
    /// number of models, so that a health check may call it for every request.
    ///
    /// ```
    /// use tower_key_rotation::{ApiKey, KeyPool, Provider};
    ///
    /// let keys = [ApiKey::new("sk-one")?.id("one"), ApiKey::new("sk-two")?.id("two")];
    /// let pool = KeyPool::builder(Provider::openai()).keys(keys).build()?;
    /// pool.disable(pool.acquire(())?.key_id())?;
    /// assert_eq!(pool.usable(None), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn usable(&self, model: Option<&ModelId>) -> usize {
        let set = self.0.set.load();
        let model_state = model.and_then(|model| set.common.models.get(model));
        let request = AcquireRequest::from(model);
        request.within(&set, |request| count_usable(&set, model_state.as_deref(), request, Moment::now()))
    }

    /// Sets the gauges of the pool: the number of keys in each state, the state of each key, and the
    /// remainder of their limits. Call it before each scrape, or every few seconds, because a cooldown ends
    /// and a limit resets without an event.
    ///
    /// It sets seven gauges for each key, and one for each known limit and model of the key. Those of limits
    /// are set only if the pool's hub [keeps count](crate::event::Events::with_metrics). The models for which
    /// a key is in cooldown are not included; see [`snapshot`](Self::snapshot) for those.
    #[cfg(feature = "metrics")]
    pub fn record_metrics(&self) {
        metrics::record(&self.0.common, &self.snapshot());
    }

    /// Subscribes to the events of the pool's keys and of the requests that use them, from now on. If a hub
    /// was [given to the pool](crate::pool::KeyPoolBuilder::events), the subscription receives the events of everything
    /// that shares it.
    pub fn subscribe(&self) -> Subscription {
        self.0.common.events.subscribe()
    }

    /// Returns whether events of this severity have any receiver.
    pub(crate) fn is_heard(&self, severity: Severity) -> bool {
        self.0.common.events.listens(severity)
    }

    /// Returns whether the pool tracks any model. Only then is it worth reading a request's model before
    /// sending.
    pub(crate) fn knows_models(&self) -> bool {
        let set = self.0.set.load();
        needs_models(&set) || !set.common.models.is_empty()
    }

    /// Returns whether limits or keys are declared for single models. Then the model of each request has to be
    /// known for certain.
    pub(crate) fn needs_models(&self) -> bool {
        needs_models(&self.0.set.load())
    }

    /// Returns whether any limit counts tokens. Only then is it worth estimating the tokens of a request.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.0.common.counts_tokens()
    }

    /// Returns whether some key may be used for the model and endpoint of a request.
    pub(crate) fn may_serve(&self, request: &AcquireRequest<'_>) -> bool {
        let set = self.0.set.load();
        request.within(&set, |request| set.live().any(|key| request.may_be_served_by(key)))
    }

    /// Returns the time until the first key becomes usable for a request.
    pub(crate) fn earliest(&self, request: &AcquireRequest<'_>, now: Moment) -> Exhausted {
        let set = self.0.set.load();
        let model_state = request.model.and_then(|model| set.common.models.get(model));
        request.within(&set, |request| exhausted(&set, model_state.as_deref(), request, now))
    }

    /// Returns the reason that keeps out the key that clears most easily. `None` if no cooldown keeps that
    /// key out, but a limit or requests in flight.
    pub(crate) fn held_by(&self, request: &AcquireRequest<'_>, now: Moment) -> Option<Reason> {
        let set = self.0.set.load();
        let model_state = request.model.and_then(|model| set.common.models.get(model));
        request.within(&set, |request| held::held_by(&set, model_state.as_deref(), request, now))
    }

    /// Records that a request failed because no key was usable. Emits an event if that begins an outage.
    pub(crate) fn announce_exhausted(&self, model: Option<&ModelId>, attempts: usize, found: &Exhausted) {
        outage::begin(&self.0.set.load(), model, attempts, found);
    }

    /// Warns that a response has an encoding that can't be read. Emitted once for each pool.
    pub(crate) fn report_unreadable(&self) {
        let common = &self.0.common;
        if !common.said_unreadable.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "tower_key_rotation",
                provider = common.provider.name(),
                "a response is compressed and can't be judged: enable the feature `decompress`, or put a \
                 decompression layer inside the rotation layer"
            );
        }
    }
}

fn needs_models(set: &KeySet) -> bool {
    set.quotas.are_of_models() || set.serving.as_ref().is_some_and(|serving| serving.is_of_models())
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
