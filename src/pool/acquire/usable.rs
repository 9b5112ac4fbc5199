//! The number of usable keys, for health checks.

use crate::clock::Moment;
use crate::pool::KeyPool;
use crate::pool::keys::candidate::Place;
use crate::pool::scope::shared_limit::Gate;
use crate::provider::ModelId;

impl KeyPool {
    /// Returns the number of keys that an attempt could use now, if only for a probe. These keys are enabled,
    /// are in no cooldown, wait for no probe, and have room in all known limits.
    ///
    /// With a model, its cooldowns and limits count too; an unknown model adds none. Without one, only state
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
    /// pool.disable(pool.acquire(None)?.key_id())?;
    /// assert_eq!(pool.usable(None), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn usable(&self, model: Option<&ModelId>) -> usize {
        let set = self.0.set.load();
        let lane = model.and_then(|model| set.models.get(model));
        let now = Moment::now().as_unix_ms();
        let places = (0..set.keys.len()).map(|key| Place::new(&set, lane.as_deref(), key));
        places.filter(|place| place.is_open(now) && !place.is_waiting_for_others(now)).count()
    }
}

impl Place<'_> {
    /// Returns whether the key waits for the canary of the shared limit detector.
    fn is_waiting_for_others(self, now: u64) -> bool {
        let mut gates = self.choruses().into_iter().filter_map(|chorus| self.held(chorus, now));
        gates.any(|gate| match gate {
            Gate::Held(until) => until.is_none_or(|until| until > now),
            Gate::Open | Gate::Trial => false,
        })
    }
}
