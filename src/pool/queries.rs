//! Reports about the keys of a pool, and what the layers ask of a pool.

use std::sync::atomic::Ordering;

use crate::classify::Reason;
use crate::clock::{Moment, Timestamp};
use crate::event::{Severity, Subscription};
use crate::pool::KeyPool;
use crate::pool::acquire::availability::exhausted;
use crate::pool::acquire::exhausted::Exhausted;
use crate::pool::acquire::held;
use crate::pool::acquire::request::AcquireRequest;
use crate::pool::acquire::usable::count_usable;
use crate::pool::keys::key_set::KeySet;
#[cfg(feature = "metrics")]
use crate::pool::report::metrics;
use crate::pool::report::outage;
use crate::pool::report::snapshot;
use crate::pool::report::snapshot::PoolSnapshot;
use crate::provider::ModelId;

impl KeyPool {
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
