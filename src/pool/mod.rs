//! The keys of one provider and what is known about them.
//!
//! Whoever sends requests asks the pool for a [`Lease`]: the right to use one key for one attempt. What
//! became of the attempt is said by settling the lease; one that is dropped unsettled, because the caller
//! went away, blames nobody. The pool remembers: a key that was refused is not asked again before its
//! time, and then by a single *probe* whose success frees it.
//!
//! What is remembered has a scope. A limit of one model benches the key for that model only; keys of one
//! account are benched together, so that ten keys of one organisation cost one refusal and not ten: as
//! declared, or as the provider's answers show. Where neither says anything, keys that are refused one
//! after the other for the same limit are taken to share it, until one of them is served.
//!
//! Asking takes no lock and does not depend on the number of keys: see the module sources of `lane`
//! (which keys are worth looking at) and `slot` (whether one may be used).
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

mod account;
mod admit;
mod announce;
mod ask;
mod backoff;
mod build_error;
mod builder;
mod chorus;
mod cross_over;
mod doubt;
mod exhausted;
#[cfg(feature = "metrics")]
mod gauges;
mod headroom;
mod held;
mod in_flight;
mod key_set;
mod known_limits;
mod lane;
mod learn;
mod lease;
mod model_counters;
mod models;
mod observe;
mod operate;
mod other_endpoint;
mod outage;
mod outlook;
mod penalty;
mod place;
mod quotas;
mod ramp;
mod rank;
mod rendezvous;
mod reserve;
mod select;
mod session;
mod slot;
mod snapshot;
mod spacing;
mod stamp;
mod standing;
mod state;
mod stats;
mod suspicion;
mod tab;
mod tally;
mod usable;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

pub use self::ask::Ask;
pub use self::backoff::{Backoff, Cooldowns};
pub use self::build_error::BuildError;
pub use self::builder::KeyPoolBuilder;
pub(crate) use self::doubt::Doubt;
pub use self::exhausted::Exhausted;
pub use self::known_limits::{ModelLimits, ModelUsage};
pub use self::lease::Lease;
pub use self::operate::UnknownKey;
pub use self::penalty::Penalty;
pub use self::select::Selection;
pub use self::session::Session;
pub use self::snapshot::{KeySnapshot, KeyState, ModelSnapshot, PoolSnapshot};
pub use self::stamp::StampError;
pub(crate) use self::tab::Tab;
pub use self::tally::{Consumption, UsageSnapshot};

use self::admit::{Admitted, admit};
use self::key_set::KeySet;
use self::models::ModelLane;
use self::outage::Outage;
use self::place::Place;
use self::select::Search;
use self::suspicion::{Others, Suspicion};
use self::wait::Freed;
use crate::clock::{Moment, Pace};
use crate::event::{Events, Kind, Severity, Source, Subscription};
use crate::provider::{ModelId, Provider};

/// The keys of one provider and what is known about them.
///
/// # Clone
///
/// Clones are handles to the same pool: any number of layers may share one.
#[derive(Clone)]
pub struct KeyPool(Arc<Shared>);

/// Tells the pools apart that serve one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolId(usize);

struct Shared {
    common: Arc<Common>,
    /// The present keys; a lease keeps the set it came from.
    set: ArcSwap<KeySet>,
}

/// What all key sets of a pool have in common. A lease has it from its set, so that it holds on to one
/// thing and not to two, which every thread would have to count.
struct Common {
    provider: Provider,
    /// The provider's name, as events carry it.
    name: Arc<str>,
    selection: Selection,
    cooldowns: Cooldowns,
    learn_accounts: bool,
    /// The shares of limits that are told of, in rising order.
    warn_at: Box<[f64]>,
    /// Whether the provider, and not its keys, is the culprit.
    suspicion: Suspicion,
    freed: Freed,
    outage: Outage,
    pace: Pace,
    events: Events,
    /// It has been said that a response can't be judged for its encoding.
    said_unreadable: AtomicBool,
}

// === impl KeyPool ===

impl KeyPool {
    /// Starts a pool for the keys of one provider.
    pub fn builder(provider: Provider) -> KeyPoolBuilder {
        KeyPoolBuilder::new(provider)
    }

    /// A pool of the keys that the environment of the process holds for the provider, as
    /// [`Discovery`](crate::key::Discovery) finds them.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoKeys`], which names the variables looked at, if there is none.
    pub fn from_env(provider: Provider) -> Result<Self, BuildError> {
        Self::builder(provider).keys_from_env().build()
    }

    /// Of this pool, for as long as it is there.
    pub(crate) fn id(&self) -> PoolId {
        PoolId(Arc::as_ptr(&self.0) as usize)
    }

    /// The provider whose keys these are.
    pub fn provider(&self) -> &Provider {
        &self.0.common.provider
    }

    /// The right to use one key for one attempt, now.
    ///
    /// `model` is what the attempt is about, where the caller knows it: a key may be out for one model and
    /// usable for another.
    ///
    /// # Errors
    ///
    /// [`Exhausted`], with the true time until the first key becomes usable.
    pub fn acquire(&self, model: Option<&ModelId>) -> Result<Lease, Exhausted> {
        self.acquire_for(&model.into())
    }

    /// The right to use one key for one attempt, now, for a request of which more is known than the model.
    ///
    /// # Errors
    ///
    /// [`Exhausted`], with the true time until the first key becomes usable.
    pub fn acquire_for(&self, ask: &Ask<'_>) -> Result<Lease, Exhausted> {
        self.acquire_at(ask, Moment::now())
    }

    pub(crate) fn acquire_at(&self, ask: &Ask<'_>, now: Moment) -> Result<Lease, Exhausted> {
        let set = self.0.set.load_full();
        let lane = ask.model.and_then(|model| set.lane_of(model, now.into()));

        set.wake(lane.as_deref(), now.as_unix_ms());
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

    /// What is left when no lane shows a usable key: one that the lanes have missed, or a probe of keys
    /// that look invalid without being it.
    fn last_resort(
        &self,
        set: &KeySet,
        lane: Option<&ModelLane>,
        ask: &Ask<'_>,
        now: Moment,
    ) -> Result<Admitted, Exhausted> {
        let untried = |place: &Place<'_>| ask.allows(&place.key().id);
        let take = |place: Place<'_>| untried(&place).then(|| admit(place, &ask.need, now))?;
        let missed = select::find_anywhere(set, lane, now.as_unix_ms(), take);
        let probe = || self.0.common.suspicion.probe(set, lane, ask, Others::None, now);
        missed.or_else(probe).ok_or_else(|| self.exhausted(set, lane, ask, now))
    }

    /// Whether anything is known of any model: only then is it worth knowing a request's model beforehand.
    pub(crate) fn knows_models(&self) -> bool {
        let set = self.0.set.load();
        set.quotas.are_of_models() || !set.models.is_empty()
    }

    /// Whether limits are declared for single models: then each request's model has to be known for sure.
    pub(crate) fn limits_models(&self) -> bool {
        self.0.set.load().quotas.are_of_models()
    }

    /// Whether any limit counts tokens: only then is it worth estimating a request's.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.0.set.load().counts_tokens()
    }

    /// When the first key becomes usable for a request.
    pub(crate) fn earliest(&self, ask: &Ask<'_>, now: Moment) -> Exhausted {
        let set = self.0.set.load();
        let lane = ask.model.and_then(|model| set.models.get(model));
        self.exhausted(&set, lane.as_deref(), ask, now)
    }

    /// What happens to the pool's keys and to the requests that use them, from now on. With a hub that was
    /// [given to the pool](KeyPoolBuilder::events), what happens to all that shares it.
    pub fn subscribe(&self) -> Subscription {
        self.0.common.events.subscribe()
    }

    pub(crate) fn emit(&self, severity: Severity, kind: impl FnOnce() -> Kind) {
        self.0.common.emit(severity, kind);
    }

    /// Whether anybody may hear what is as severe as this.
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
