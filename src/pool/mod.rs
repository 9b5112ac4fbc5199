//! A pool: the keys of one provider and their state.
//!
//! A client asks the pool for a [`Lease`]: the right to use one key for one attempt. It settles the lease
//! with the result of the attempt. A lease that is dropped unsettled, because the caller went away, blames no
//! key. The pool remembers the results: a key that was refused is in cooldown, and not offered before its
//! time. Then a single *probe* tries it, whose success makes it usable again.
//!
//! Every fault has a scope. A limit of one model puts a key into a cooldown for that model only. Keys of one
//! account go into a cooldown together, so that ten keys of one organisation cost one refusal and not ten.
//! The accounts are those that were declared, or those that the provider's responses show. Without either,
//! keys that are refused one after the other for the same limit are assumed to share it, until one of them is
//! served.
//!
//! # Cost of acquiring a key
//!
//! As long as a key is usable, acquiring inspects a few keys, whatever their number: the module source of
//! `model_state` describes the bitmap that finds them, and that of `slot` the atomic word that decides whether one
//! may be used. No lock is taken unless limits are known: each scope with limits has its own mutex, held for
//! a moment. A pool without a usable key looks at every key to compute the wait.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use tower_key_rotation::classify::{Fault, Reason, Scope};
//! use tower_key_rotation::key::ApiKey;
//! use tower_key_rotation::pool::KeyPool;
//! use tower_key_rotation::Provider;
//!
//! let pool = KeyPool::builder(Provider::openai())
//!     .key(ApiKey::new("sk-one")?.id("one"))
//!     .key(ApiKey::new("sk-two")?.id("two"))
//!     .build()?;
//!
//! let lease = pool.acquire(())?;
//! assert_eq!(lease.key_id().as_str(), "one");
//! let fault = Fault::new(Reason::RateLimited, Scope::Key).with_retry_after(Duration::from_secs(20));
//! lease.fail(&fault, None);
//!
//! assert_eq!(pool.acquire(())?.key_id().as_str(), "two");
//! assert_eq!(pool.acquire(())?.key_id().as_str(), "two");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acquire;
mod build;
mod keys;
mod learn;
mod lease;
mod operate;
mod queries;
mod reload;
mod report;
mod scope;
mod share;
mod shared;
mod state;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

pub use self::acquire::exhausted::Exhausted;
pub use self::acquire::request::AcquireRequest;
pub use self::build::builder::KeyPoolBuilder;
pub use self::build::error::BuildError;
pub use self::keys::selection::Selection;
pub use self::keys::session::Session;
pub use self::keys::usage::{Consumption, UsageSnapshot};
pub(crate) use self::learn::provisional::ProvisionalCooldown;
pub use self::lease::Lease;
pub use self::lease::apply_key::ApplyKeyError;
pub use self::lease::undo::UndoCooldown;
pub(crate) use self::lease::usage_settlement::UsageSettlement;
pub use self::operate::UnknownKey;
pub use self::reload::{Draining, KeyChanges, ReloadError};
pub use self::report::limits::{ModelLimits, ModelUsage};
pub use self::report::snapshot::{KeySnapshot, KeyState, ModelSnapshot, PoolSnapshot};
pub use self::scope::cooldown::{Backoff, Cooldowns};
pub use self::state::document::{OtherProvider, PoolState};
#[cfg(feature = "redis")]
pub(crate) use self::state::field::Field;
#[cfg(feature = "redis")]
pub(crate) use self::state::register::Register;

use crate::clock::Moment;
use crate::event::{EventKind, Severity};
use crate::key::SecretSource;
use crate::pool::keys::common::Common;
use crate::pool::shared::Shared;
use crate::provider::Provider;

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
pub struct KeyPool(Arc<Shared>);

/// The identity of a pool, which distinguishes the pools that serve one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolId(usize);

// === impl KeyPool ===

impl KeyPool {
    /// Creates a [`KeyPoolBuilder`] for the keys of one provider.
    pub fn builder(provider: Provider) -> KeyPoolBuilder {
        KeyPoolBuilder::new(provider)
    }

    /// Creates a pool with the keys that the process environment holds for the provider.
    ///
    /// For the prefix `OPENAI` these are `OPENAI_API_KEY`, `OPENAI_API_KEY_1` and so on, `OPENAI_API_KEYS`,
    /// `PROVIDER_OPENAI_API_KEY` and, for backup keys, `PROVIDER_OPENAI_BACKUP_KEYS`. Each holds one or more
    /// keys, separated by commas, semicolons or white space. See [`EnvKeys`](crate::key::EnvKeys) for the
    /// table, and [`Provider::env_names`] for names of a provider's own.
    ///
    /// # Errors
    ///
    /// Returns [`BuildError::NoKeys`], which says what is wrong with the variables that were found and names
    /// those that were searched, if there is no key.
    /// Returns the other variants of [`BuildError`] as [`KeyPoolBuilder::build`] does.
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

    /// Leases a key for a probe, if it was refused only at other endpoints. `endpoint` returns the hash of
    /// the request's destination.
    pub(crate) fn probe_at(
        &self,
        endpoint: impl FnOnce() -> u64,
        request: &AcquireRequest<'_>,
        now: Moment,
    ) -> Option<Lease> {
        self.0.probe_at(endpoint, request, now)
    }

    /// Leases a key for one attempt as soon as one is usable; first come, first served.
    ///
    /// Waits for the earliest cooldown to end, or for a key to be freed before that: by a probe, an operator,
    /// or a new verdict. The future may be dropped at any time. [`acquire`](Self::acquire) does not wait in
    /// the queue, and may overtake waiters.
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
        self.acquire_until(&request.into(), self.latest_start(deadline)).await
    }

    /// Returns the latest end of a wait that leaves enough time for an attempt before the deadline.
    pub(crate) fn latest_start(&self, deadline: Instant) -> Instant {
        self.0.common.latency.latest_start(deadline)
    }

    /// Leases a key, and waits no longer than until `until`.
    pub(crate) fn acquire_until(
        &self,
        request: &AcquireRequest<'_>,
        until: Instant,
    ) -> impl Future<Output = Result<Lease, Exhausted>> {
        wait::acquire_until(self, request, until)
    }

    /// Returns a future that keeps the secrets of all keys with a [source](crate::key::SecretSource) fresh. It ends when
    /// none of these sources is used any more, and at once if no key has one. Spawn it once.
    ///
    /// Keys that are added later are not included: spawn the [`renewal`](crate::key::SecretSource::renewal) of their
    /// sources.
    pub fn renewal(&self) -> impl Future<Output = ()> + Send + use<> {
        let set = self.0.set.load();
        let mut sources: Vec<_> = set.live().filter_map(|key| set.keys[key].spec.source()).collect();
        sources.sort_unstable_by_key(|source| source.number());
        sources.dedup();
        let renewals: Vec<_> = sources.into_iter().map(SecretSource::renewal).collect();
        async move {
            join_all(renewals).await;
        }
    }

    pub(crate) fn emit(&self, severity: Severity, kind: impl FnOnce() -> EventKind) {
        self.0.common.emit(severity, kind);
    }
}

impl fmt::Debug for KeyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { common, set, .. } = &*self.0;
        let Common { provider, selection, .. } = &**common;
        f.debug_struct("KeyPool")
            .field("provider", &provider.name())
            .field("selection", selection)
            .field("keys", &set.load())
            .finish_non_exhaustive()
    }
}
