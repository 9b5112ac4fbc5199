//! The operator's verbs, the change of keys at run time, and the state that outlives the process.
//!
//! The verbs reach every process that shares the state by a [store](crate::store) or by [`KeyPool::merge`]. The keys
//! themselves are not shared: each process takes them from its own configuration.

use std::time::Duration;

use crate::clock::Timestamp;
#[cfg(doc)]
use crate::event::OperatorEvent;
#[cfg(any(feature = "file-store", feature = "redis"))]
use crate::event::StoreNote;
use crate::key::{ApiKey, KeyId, Secret};
use crate::pool::state::register::Switch;
#[cfg(feature = "redis")]
use crate::pool::stored;
use crate::pool::{Draining, KeyChanges, KeyPool, OtherProvider, PoolState, ReloadError, UnknownKey};
#[cfg(feature = "redis")]
use crate::pool::{Field, Register};
use crate::pool::{reload, share, verbs};
use crate::provider::ModelId;

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
        verbs::reset(self, key)
    }

    /// Resets every key, as [`reset`](Self::reset) does for one.
    pub fn reset_all(&self) {
        verbs::reset_all(self);
    }

    /// Ends every cooldown now, except those that an operator has [forced](Self::cool_down): the next request with a
    /// key probes it. Counts, limits and disabled keys stay as they are. Use it when refusals may have had another cause
    /// than the keys, such as a wrong base URL. The probes emit events, and the method itself none.
    ///
    /// ```
    /// use tower_key_rotation::classify::{Fault, Reason, Scope};
    /// use tower_key_rotation::{ApiKey, KeyPool, Provider};
    ///
    /// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
    /// pool.acquire(())?.fail(&Fault::new(Reason::InvalidKey, Scope::Key), None);
    /// assert!(pool.acquire(()).is_err());
    /// pool.probe_all();
    /// assert!(pool.acquire(())?.is_probe());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn probe_all(&self) {
        verbs::probe_all(self);
    }

    /// Resets the counts of the declared limits of a key and of its account: those for one model if `model`
    /// is given, and all otherwise. Requests in flight keep their places in a concurrency limit. Cooldowns,
    /// and limits that responses reported, stay.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    pub fn reset_quota(&self, key: &KeyId, model: Option<&ModelId>) -> Result<(), UnknownKey> {
        verbs::reset_quota(self, key, model)
    }

    /// Takes a key out of use until it is [enabled](Self::enable). Its requests in flight go on.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    pub fn disable(&self, key: &KeyId) -> Result<(), UnknownKey> {
        verbs::switch(self, key, Switch::Disabled)
    }

    /// Takes a [disabled](Self::disable) key into use again, in the state that it was in.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    pub fn enable(&self, key: &KeyId) -> Result<(), UnknownKey> {
        verbs::switch(self, key, Switch::Enabled)
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
        verbs::cool_down_from(self, key, model, now, now.saturating_add(wait))
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
        verbs::cool_down_from(self, key, model, Timestamp::now(), until)
    }

    /// Makes these keys the keys of the pool, in this order. Every clone of the pool, and every layer that
    /// was built with it, uses them from then on. Requests that wait for a key look again.
    ///
    /// A key stays if its secret and its declared account stay. It keeps its state: cooldowns, counters,
    /// learned limits, learned accounts, sessions and requests in flight. Its id, tier, weight and quotas may
    /// change; quotas that changed start to count anew. Every other key starts clean.
    ///
    /// A key that is not in the list takes no new request, and finishes those in flight; see
    /// [`KeyChanges::draining`]. The change is atomic: no search for a key finds the pool between the two
    /// lists. It costs a pass over all keys, and never delays a request.
    ///
    /// # Errors
    ///
    /// Returns [`ReloadError::Keys`] if [`build`](crate::pool::KeyPoolBuilder::build) would fail with these
    /// keys. The pool is unchanged then.
    ///
    /// # Example
    ///
    /// ```
    /// use tower_key_rotation::{ApiKey, KeyPool, Provider};
    ///
    /// let one = || Ok::<_, Box<dyn std::error::Error>>(ApiKey::new("sk-one")?.id("one"));
    /// let pool = KeyPool::builder(Provider::openai()).key(one()?).build()?;
    /// let changes = pool.reload([one()?, ApiKey::new("sk-two")?.id("two")])?;
    /// assert_eq!((changes.added.len(), changes.unchanged), (1, 1));
    /// assert_eq!(pool.usable(None), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload(&self, keys: impl IntoIterator<Item = ApiKey>) -> Result<KeyChanges, ReloadError> {
        reload::reload(self, keys.into_iter().collect())
    }

    /// Adds a key behind the others. The others stay as they are.
    ///
    /// # Errors
    ///
    /// Returns [`ReloadError::Keys`] if the pool has its secret or its id already, or if its name or secret
    /// is invalid. The pool is unchanged then.
    pub fn add(&self, key: ApiKey) -> Result<(), ReloadError> {
        reload::add(self, key)
    }

    /// Replaces the secret of a key in this process. The key keeps its id and its settings, and starts clean. Requests in
    /// flight with the old secret go on, and what they report counts for the old secret only.
    ///
    /// # Errors
    ///
    /// Returns [`ReloadError::UnknownKey`] if no key has this id, and [`ReloadError::Keys`] if another key
    /// has the secret. The pool is unchanged then.
    pub fn replace(&self, key: &KeyId, secret: Secret) -> Result<Draining, ReloadError> {
        reload::replace(self, key, secret)
    }

    /// Removes a key. It takes no new request, and finishes those in flight.
    ///
    /// Other processes that share the state keep the key, because it is in their configuration: while a change is rolled
    /// out, some processes need a key that others have no more. To take a key out of use everywhere, [`drain`](Self::drain)
    /// it first.
    ///
    /// # Errors
    ///
    /// Returns [`ReloadError::UnknownKey`] if no key has this id, and [`ReloadError::LastKey`] if it is the
    /// only key of the pool.
    pub fn remove(&self, key: &KeyId) -> Result<Draining, ReloadError> {
        reload::remove(self, key)
    }

    /// [Disables](Self::disable) a key, and returns a handle that waits for the end of its last request in
    /// flight. Then an [event](OperatorEvent::Drained) is emitted. The key stays in the pool and can be
    /// [enabled](Self::enable) again.
    ///
    /// Other processes that share the state disable the key as well, and each emits the event at the end of its own last
    /// request.
    ///
    /// # Errors
    ///
    /// Returns [`UnknownKey`] if no key has this id.
    pub fn drain(&self, key: &KeyId) -> Result<Draining, UnknownKey> {
        reload::drain(self, key)
    }

    /// Returns the state of the pool that is worth keeping or sharing: cooldowns, invalid and disabled keys,
    /// learned accounts, and the counts of declared and learned limits. See [`PoolState`] for an example.
    ///
    /// It costs a look at every key and tracked model, and a copy of the state: call it every second, not for
    /// every request. Requests do not wait for it.
    pub fn export(&self) -> PoolState {
        share::export(self)
    }

    /// Takes over the state of another process or of an earlier run, as far as it is newer than the pool's
    /// own. Keys that the pool does not have are ignored, but their state is kept for a week.
    ///
    /// States may be merged in any order and repeatedly. The state of a pool of another provider changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// Returns [`OtherProvider`] if the state belongs to the pool of another provider.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_key_rotation::{ApiKey, KeyPool, Provider};
    ///
    /// let pool = || -> Result<_, Box<dyn std::error::Error>> {
    ///     Ok(KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?)
    /// };
    /// let (here, there) = (pool()?, pool()?);
    /// here.disable(&"one".into())?;
    /// there.merge(here.export())?;
    /// assert_eq!(there.usable(None), 0);
    ///
    /// there.enable(&"one".into())?;
    /// here.merge(there.export())?;
    /// assert_eq!(here.usable(None), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn merge(&self, state: PoolState) -> Result<(), OtherProvider> {
        share::merge(self, state)
    }

    /// Notes what a store of the pool's state did.
    #[cfg(any(feature = "file-store", feature = "redis"))]
    pub(crate) fn note_store(&self, store: &'static str, note: StoreNote) {
        self.0.common.note_store(store, note);
    }

    /// Merges registers that a store holds already.
    #[cfg(feature = "redis")]
    pub(crate) fn merge_stored(&self, registers: impl IntoIterator<Item = (Field, Register)>) {
        stored::merge(self, registers);
    }

    /// Reads the clock of a store: times in its registers are those of this clock, in milliseconds since the Unix epoch.
    #[cfg(feature = "redis")]
    pub(crate) fn follow_store_clock(&self, time: u64) {
        stored::follow_clock(self, time);
    }

    /// Returns the registers that have changed since the last call, or all of them after
    /// [`resend`](Self::resend).
    #[cfg(feature = "redis")]
    pub(crate) fn changed_registers(&self) -> Vec<(Field, Register)> {
        stored::changed(self)
    }

    /// Lets the next call of [`changed_registers`](Self::changed_registers) return all registers.
    #[cfg(feature = "redis")]
    pub(crate) fn resend(&self) {
        share::locked(self).resend();
    }

    /// Lets registers be returned again that the store does not have, or has with a smaller value. `stored` is all that
    /// it has.
    #[cfg(feature = "redis")]
    pub(crate) fn resend_lost(&self, stored: Vec<(Field, Register)>) {
        stored::resend_lost(self, stored);
    }

    /// Returns the registers among these that a pool would forget.
    #[cfg(feature = "redis")]
    pub(crate) fn useless(&self, registers: Vec<(Field, Register)>) -> Vec<(Field, Register)> {
        stored::useless(self, registers)
    }
}
