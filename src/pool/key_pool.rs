//! The handle to a pool: leases of keys, and reports about them. The operator's verbs are in `operate`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::classify::Reason;
use crate::clock::{Moment, Timestamp};
use crate::event::{EventKind, Severity, Subscription};
use crate::pool::acquire::availability::exhausted;
use crate::pool::acquire::held;
use crate::pool::acquire::usable::count_usable;
use crate::pool::keys::model::ModelUse;
use crate::pool::learn::secret::renewal;
#[cfg(feature = "metrics")]
use crate::pool::report::metrics;
use crate::pool::report::outage;
use crate::pool::report::snapshot;
use crate::pool::report::unreadable::report_unreadable;
use crate::pool::shared::Shared;
use crate::pool::wait;
use crate::pool::{AcquireRequest, BuildError, Exhausted, KeyPoolBuilder, Lease, PoolSnapshot, Rounds};
use crate::provider::{ModelId, Provider};

/// The keys of one provider and their state.
///
/// Build a pool with [`builder`](Self::builder) or [`from_env`](Self::from_env).
///
/// # Clone
///
/// Clones are handles to the same pool: any number of layers may share one.
///
/// # Example
///
/// ```
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
///
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
/// let lease = pool.acquire(())?;
/// assert_eq!(lease.key_id().as_str(), "one");
/// lease.succeed();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct KeyPool(pub(in crate::pool) Arc<Shared>);

/// The identity of a pool, which distinguishes the pools that serve one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PoolId(usize);

// === impl KeyPool ===

impl KeyPool {
    /// Creates a [`KeyPoolBuilder`] for the keys of one provider.
    pub fn builder(provider: Provider) -> KeyPoolBuilder {
        KeyPoolBuilder::new(provider)
    }

    /// Creates a pool with the keys that the process environment holds for the provider.
    ///
    /// For the prefix `OPENAI` these are `OPENAI_API_KEY`, `OPENAI_API_KEY_1`, `OPENAI_API_KEYS` and so on: see the table
    /// at [`EnvKeys`](crate::key::EnvKeys), and [`Provider::env_names`] for names of a provider's own.
    ///
    /// # Errors
    ///
    /// Returns [`BuildError::NoKeys`], which says what is wrong with the variables that were found, if there is no key, and
    /// the other variants of [`BuildError`] as [`KeyPoolBuilder::build`] does.
    pub fn from_env(provider: Provider) -> Result<Self, BuildError> {
        Self::builder(provider).keys_from_env().build()
    }

    /// Returns the identity of this pool. It is unique for as long as the pool exists.
    pub(crate) fn id(&self) -> PoolId {
        PoolId(Arc::as_ptr(&self.0) as usize)
    }

    /// Returns the provider of the keys.
    pub fn provider(&self) -> &Provider {
        &self.0.common.provider
    }

    /// Leases a key for one attempt, without waiting.
    ///
    /// The request says what is known of the attempt: nothing (`()`), its model (`&ModelId`, or an `Option` of
    /// it), or more with an [`AcquireRequest`]. A key may be in cooldown for one model and usable for another.
    ///
    /// # Errors
    ///
    /// Returns [`Exhausted`], with the time until the first key becomes usable, if no key is usable now.
    ///
    /// # Example
    ///
    /// ```
    /// use tower_key_rotation::limits::Estimate;
    /// use tower_key_rotation::pool::AcquireRequest;
    /// use tower_key_rotation::{ApiKey, KeyPool, ModelId, Provider};
    ///
    /// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
    /// let model = ModelId::from("gpt-4o");
    ///
    /// pool.acquire(())?.succeed();
    /// pool.acquire(&model)?.succeed();
    /// let tokens = Estimate::new().input_tokens(900).output_tokens(100);
    /// pool.acquire(AcquireRequest::new().model(&model).tokens(tokens))?.succeed();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn acquire<'a>(&self, request: impl Into<AcquireRequest<'a>>) -> Result<Lease, Exhausted> {
        self.acquire_at(&request.into(), Moment::now())
    }

    pub(crate) fn acquire_at(&self, request: &AcquireRequest<'_>, now: Moment) -> Result<Lease, Exhausted> {
        self.0.acquire(request, now)
    }

    /// Leases a key before the wait that its provider stated is over, or returns the time until that is
    /// allowed; `None` if it is not.
    pub(crate) fn acquire_early(
        &self,
        request: &AcquireRequest<'_>,
        now: Moment,
    ) -> Result<Lease, Option<Duration>> {
        self.0.acquire_early(request, now)
    }

    /// Leases a key that refusals keep out, if the endpoint has not tried it in these rounds. `endpoint` returns the
    /// hash of the request's destination.
    pub(crate) fn probe_at<'a>(
        &self,
        among: Rounds,
        endpoint: impl FnOnce() -> u64,
        request: impl FnOnce() -> Option<AcquireRequest<'a>>,
    ) -> Option<Lease> {
        self.0.probe_at(among, endpoint, request)
    }

    /// Leases a key for one attempt as soon as one is usable; first come, first served.
    ///
    /// Waits for the earliest cooldown to end, or for a key that a probe, an operator or a new verdict frees. The future may
    /// be dropped at any time. [`acquire`](Self::acquire) does not wait in the queue, and may overtake waiters.
    ///
    /// # Errors
    ///
    /// Returns [`Exhausted`]: at once if the wait leaves no time for an attempt, otherwise at the end of that time.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use tokio::time::Instant;
    /// use tower_key_rotation::classify::{Fault, Reason, Scope};
    /// use tower_key_rotation::{ApiKey, KeyPool, Provider};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
    /// let limited = Fault::new(Reason::RateLimited, Scope::Key).with_retry_after(Duration::from_secs(2));
    /// pool.acquire(())?.fail(&limited, None);
    ///
    /// let deadline = Instant::now() + Duration::from_secs(60);
    /// let lease = pool.acquire_by((), deadline).await?; // after 2 s
    /// assert_eq!(lease.key_id().as_str(), "one");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn acquire_by<'a>(
        &self,
        request: impl Into<AcquireRequest<'a>>,
        deadline: Instant,
    ) -> Result<Lease, Exhausted> {
        self.acquire_until(&request.into(), None, self.latest_start(deadline)).await
    }

    /// Returns the latest end of a wait that leaves enough time for an attempt before the deadline.
    pub(crate) fn latest_start(&self, deadline: Instant) -> Instant {
        self.0.common.latency.latest_start(deadline)
    }

    /// Leases a key, and waits no longer than until `until`. `endpoint` returns the hash of the request's destination,
    /// for a request that may [try](Self::probe_at) a key that refusals keep out.
    pub(crate) fn acquire_until(
        &self,
        request: &AcquireRequest<'_>,
        endpoint: Option<&(dyn Fn() -> u64 + Sync)>,
        until: Instant,
    ) -> impl Future<Output = Result<Lease, Exhausted>> {
        wait::acquire_until(self, request, endpoint, until)
    }

    /// Returns a future that keeps the secrets of all keys with a [source](crate::key::SecretSource) fresh, also of keys
    /// that are added later. It ends when the last handle to the pool is gone. Spawn it once.
    pub fn renewal(&self) -> impl Future<Output = ()> + Send + use<> {
        let (pool, changed) = (Arc::downgrade(&self.0), Arc::clone(&self.0.common.reloaded));
        renewal(changed, move || pool.upgrade().map(|pool| pool.set.load_full()))
    }

    pub(crate) fn emit(&self, severity: Severity, kind: impl FnOnce() -> EventKind) {
        self.0.common.emit(severity, kind);
    }

    /// Returns the state of the pool now.
    pub fn snapshot(&self) -> PoolSnapshot {
        snapshot::snapshot(&self.0.set.load(), Timestamp::now())
    }

    /// Returns the number of keys that an attempt could use now, if only for a probe. These keys are enabled,
    /// are in no cooldown, wait for no probe, and have room in all known limits.
    ///
    /// With a model, its cooldowns and limits count too, and keys that may not be used for it do not; an unknown model
    /// adds none. Without one, only state that applies to every model counts.
    ///
    /// The method allocates nothing. It costs a few loads for each key, so that a health check may call it often.
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

    /// Sets the gauges of the pool: the number of keys in each state, the state of each key, the remainder of their
    /// limits, and the health of its stores. Call it before each scrape, or every few seconds, because a cooldown ends
    /// and a limit resets without an event.
    ///
    /// It sets seven gauges for each key, and one for each known limit and model of the key, and one for the usable keys
    /// of each tracked model. Those of limits and of usable keys are set only if the pool's hub
    /// [keeps count](crate::event::Events::with_metrics).
    #[cfg(feature = "metrics")]
    pub fn record_metrics(&self) {
        metrics::record(&self.0.common, &self.snapshot(), |model| self.usable(model));
    }

    /// Subscribes to the events of the pool's keys and of the requests that use them, from now on, and to those of
    /// everything that shares the [hub of the pool](crate::pool::KeyPoolBuilder::events).
    pub fn subscribe(&self) -> Subscription {
        self.0.common.events.subscribe()
    }

    /// Returns whether events of this severity have any receiver.
    pub(crate) fn is_heard(&self, severity: Severity) -> bool {
        self.0.common.events.listens(severity)
    }

    /// Returns whether requests depend on their models.
    pub(crate) fn model_use(&self) -> ModelUse {
        self.0.common.models.model_use()
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
        report_unreadable(&self.0.common);
    }
}
