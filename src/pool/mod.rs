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
//! `lane` describes the bitmap that finds them, and that of `slot` the atomic word that decides whether one
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
//! let lease = pool.acquire(None)?;
//! assert_eq!(lease.key_id().as_str(), "one");
//! let fault = Fault::new(Reason::RateLimited, Scope::Key).retry_after(Duration::from_secs(20));
//! lease.fault(&fault, None);
//!
//! assert_eq!(pool.acquire(None)?.key_id().as_str(), "two");
//! assert_eq!(pool.acquire(None)?.key_id().as_str(), "two");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acquire;
mod build;
mod keys;
mod learn;
mod lease;
mod operate;
mod report;
mod scope;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

pub use self::acquire::exhausted::Exhausted;
pub use self::acquire::request::Ask;
pub use self::build::builder::KeyPoolBuilder;
pub use self::build::error::BuildError;
pub use self::keys::selection::Selection;
pub use self::keys::session::Session;
pub use self::keys::usage::{Consumption, UsageSnapshot};
pub(crate) use self::learn::doubt::Doubt;
pub use self::lease::Lease;
pub use self::lease::apply_key::StampError;
pub use self::lease::penalty::Penalty;
pub(crate) use self::lease::settle::Tab;
pub use self::operate::UnknownKey;
pub use self::report::limits::{ModelLimits, ModelUsage};
pub use self::report::snapshot::{KeySnapshot, KeyState, ModelSnapshot, PoolSnapshot};
pub use self::scope::cooldown::{Backoff, Cooldowns};

use crate::clock::{Moment, Pace};
use crate::event::{Events, Kind, Severity, Source, Subscription};
use crate::pool::acquire::admit::{Admitted, admit};
use crate::pool::acquire::search::{self, Search};
use crate::pool::keys::candidate::Place;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelLane;
use crate::pool::keys::refresh::{lane_of, refresh};
use crate::pool::learn::outage::{Others, Suspicion};
use crate::pool::scope::outage::Outage;
use crate::pool::scope::queue::Freed;
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
/// let lease = pool.acquire(None)?;
/// assert_eq!(lease.key_id().as_str(), "one");
/// lease.succeed();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct KeyPool(Arc<Shared>);

/// The identity of a pool, which distinguishes the pools that serve one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolId(usize);

struct Shared {
    common: Arc<Common>,
    /// The present keys. A lease keeps the set that it came from.
    set: ArcSwap<KeySet>,
}

/// The state that all key sets of a pool share. A lease reaches it through its set, so that it holds one
/// reference-counted pointer instead of two: every thread writes to such a counter.
struct Common {
    provider: Provider,
    /// The provider's name in the form that events carry.
    name: Arc<str>,
    selection: Selection,
    cooldowns: Cooldowns,
    learn_accounts: bool,
    /// Warning thresholds, as fractions of a limit in ascending order.
    warn_at: Box<[f64]>,
    /// The auth outage detector: whether the provider rather than its keys is at fault.
    suspicion: Suspicion,
    freed: Freed,
    outage: Outage,
    pace: Pace,
    events: Events,
    /// Whether the warning about unreadable response encodings was emitted.
    said_unreadable: AtomicBool,
}

// === impl KeyPool ===

impl KeyPool {
    /// Creates a [`KeyPoolBuilder`] for the keys of one provider.
    pub fn builder(provider: Provider) -> KeyPoolBuilder {
        KeyPoolBuilder::new(provider)
    }

    /// Creates a pool with the keys that the process environment holds for the provider. See
    /// [`Discovery`](crate::key::Discovery) for the variables.
    ///
    /// # Errors
    ///
    /// Returns [`BuildError::NoKeys`], which names the variables that were searched, if there is no key.
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
    /// `model` is the model that the attempt is for, if the caller knows it: a key may be in cooldown for one
    /// model and usable for another.
    ///
    /// # Errors
    ///
    /// Returns [`Exhausted`], with the time until the first key becomes usable, if no key is usable now.
    pub fn acquire(&self, model: Option<&ModelId>) -> Result<Lease, Exhausted> {
        self.acquire_for(&model.into())
    }

    /// Leases a key for one attempt, without waiting, for a request of which more than the model is known.
    ///
    /// # Errors
    ///
    /// Returns [`Exhausted`], with the time until the first key becomes usable, if no key is usable now.
    pub fn acquire_for(&self, ask: &Ask<'_>) -> Result<Lease, Exhausted> {
        self.acquire_at(ask, Moment::now())
    }

    pub(crate) fn acquire_at(&self, ask: &Ask<'_>, now: Moment) -> Result<Lease, Exhausted> {
        let set = self.0.set.load_full();
        let lane = ask.model.and_then(|model| lane_of(&set, model, now.into()));

        refresh(&set, lane.as_deref(), now.as_unix_ms());
        let suspicion = &self.0.common.suspicion;
        let mut taken = suspicion.probe(&set, lane.as_deref(), ask, Others::Usable, now);
        if taken.is_none() {
            let search = Search { set: &set, model: lane.as_deref(), ask, now };
            search.any(|place| {
                taken = admit(place, &ask.need, now);
                taken.is_some()
            });
        }
        let taken = match taken {
            Some(taken) => taken,
            None => self.last_resort(&set, lane.as_deref(), ask, now)?,
        };
        Ok(Lease::new(set, lane, taken, ask.need, now))
    }

    /// Looks at every key after the bitmaps have shown none: for a key that they missed, or for a probe of
    /// keys that only appear to be invalid.
    fn last_resort(
        &self,
        set: &KeySet,
        lane: Option<&ModelLane>,
        ask: &Ask<'_>,
        now: Moment,
    ) -> Result<Admitted, Exhausted> {
        let untried = |place: &Place<'_>| ask.allows(&place.key().id);
        let take = |place: Place<'_>| untried(&place).then(|| admit(place, &ask.need, now))?;
        let missed = search::find_anywhere(set, lane, now.as_unix_ms(), take);
        let probe = || self.0.common.suspicion.probe(set, lane, ask, Others::None, now);
        missed.or_else(probe).ok_or_else(|| self.exhausted(set, lane, ask, now))
    }

    /// Returns whether the pool tracks any model. Only then is it worth reading a request's model before
    /// sending.
    pub(crate) fn knows_models(&self) -> bool {
        let set = self.0.set.load();
        set.quotas.are_of_models() || !set.models.is_empty()
    }

    /// Returns whether limits are declared for single models. Then the model of each request has to be known
    /// for certain.
    pub(crate) fn limits_models(&self) -> bool {
        self.0.set.load().quotas.are_of_models()
    }

    /// Returns whether any limit counts tokens. Only then is it worth estimating the tokens of a request.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.0.set.load().counts_tokens()
    }

    /// Returns the time until the first key becomes usable for a request.
    pub(crate) fn earliest(&self, ask: &Ask<'_>, now: Moment) -> Exhausted {
        let set = self.0.set.load();
        let lane = ask.model.and_then(|model| set.models.get(model));
        self.exhausted(&set, lane.as_deref(), ask, now)
    }

    /// Subscribes to the events of the pool's keys and of the requests that use them, from now on. If a hub
    /// was [given to the pool](KeyPoolBuilder::events), the subscription receives the events of everything
    /// that shares it.
    pub fn subscribe(&self) -> Subscription {
        self.0.common.events.subscribe()
    }

    pub(crate) fn emit(&self, severity: Severity, kind: impl FnOnce() -> Kind) {
        self.0.common.emit(severity, kind);
    }

    /// Returns whether events of this severity have any receiver.
    pub(crate) fn is_heard(&self, severity: Severity) -> bool {
        self.0.common.events.listens(severity)
    }
}

impl Common {
    fn emit(&self, severity: Severity, kind: impl FnOnce() -> Kind) {
        let source = Source { name: &self.name, system: Some(self.provider.system()) };
        self.events.emit(severity, source, kind);
    }
}

impl fmt::Debug for KeyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { common, set } = &*self.0;
        let Common { provider, selection, .. } = &**common;
        f.debug_struct("KeyPool")
            .field("provider", &provider.name())
            .field("selection", selection)
            .field("keys", &set.load())
            .finish_non_exhaustive()
    }
}
