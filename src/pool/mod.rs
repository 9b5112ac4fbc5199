//! The keys of one provider and what is known about them.
//!
//! Whoever sends requests asks the pool for a [`Lease`]: the right to use one key for one attempt. What
//! became of the attempt is said by settling the lease; one that is dropped unsettled, because the caller
//! went away, blames nobody. The pool remembers: a key that was refused is not asked again before its
//! time, and then by a single *probe* whose success frees it.
//!
//! What is remembered has a scope. A limit of one model benches the key for that model only; keys of one
//! account are benched together, so that ten keys of one organisation cost one refusal and not ten.
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

mod ask;
mod backoff;
mod builder;
mod exhausted;
mod key_set;
mod lane;
mod lease;
mod models;
mod operate;
mod select;
mod slot;
mod snapshot;
mod stamp;
mod stats;
mod suspicion;
mod wait;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

pub use self::ask::Ask;
pub use self::backoff::{Backoff, Cooldowns};
pub use self::builder::{BuildError, KeyPoolBuilder};
pub use self::exhausted::Exhausted;
pub use self::lease::{Lease, Penalty};
pub use self::operate::UnknownKey;
pub use self::select::Selection;
pub use self::snapshot::{KeySnapshot, KeyState, ModelSnapshot, PoolSnapshot};
pub use self::stamp::StampError;

use self::key_set::{KeySet, Level, Place};
use self::models::ModelLane;
use self::slot::{Admission, FOREVER, Pass, State};
use self::suspicion::Suspicion;
use self::wait::Freed;
use crate::clock::Timestamp;
use crate::event::{self, Event};
use crate::provider::{ModelId, Provider};

/// The keys of one provider and what is known about them.
///
/// # Clone
///
/// Clones are handles to the same pool: any number of layers may share one.
#[derive(Clone)]
pub struct KeyPool(Arc<Shared>);

struct Shared {
    common: Arc<Common>,
    /// The present keys; a lease keeps the set it came from.
    set: ArcSwap<KeySet>,
    /// Whether the provider, and not its keys, is the culprit.
    suspicion: Suspicion,
}

/// When a key becomes usable.
enum Outlook {
    /// At this time.
    At(u64),
    /// As soon as the probe that is out succeeds.
    Probing,
    /// Not by itself.
    Never,
}

/// What all key sets of a pool have in common. A lease has it from its set, so that it holds on to one
/// thing and not to two, which every thread would have to count.
struct Common {
    provider: Provider,
    selection: Selection,
    cooldowns: Cooldowns,
    freed: Freed,
}

/// What leave of all levels of a key looks like.
type Passes = [Pass; 4];

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
        self.acquire_at(ask, Timestamp::now())
    }

    pub(crate) fn acquire_at(&self, ask: &Ask<'_>, now: Timestamp) -> Result<Lease, Exhausted> {
        let set = self.0.set.load_full();
        let lane = ask.model.and_then(|model| set.models.get(model));
        let untried = |place: &Place<'_>| ask.allows(&place.key().id);
        let now_ms = now.as_unix_ms();

        set.wake(lane.as_deref(), now_ms);
        let take = |place: Place<'_>| untried(&place).then(|| admit(place, now_ms))?;
        let taken = select::find(self.0.common.selection, &set, lane.as_deref(), |place| {
            take(place).map(|passes| (place.key, passes))
        });
        let taken = match taken {
            Some(taken) => taken,
            None => self.last_resort(&set, lane.as_deref(), untried, now)?,
        };
        Ok(Lease::new(set, lane, taken, now))
    }

    /// What is left when no lane shows a usable key: one that the lanes have missed, or a probe of keys
    /// that look invalid without being it.
    fn last_resort(
        &self,
        set: &KeySet,
        lane: Option<&ModelLane>,
        untried: impl Fn(&Place<'_>) -> bool,
        now: Timestamp,
    ) -> Result<(usize, Passes), Exhausted> {
        let now_ms = now.as_unix_ms();
        let take = |place: Place<'_>| untried(&place).then(|| admit(place, now_ms))?;
        let missed = select::find_anywhere(set, lane, now_ms, |place| Some((place.key, take(place)?)));
        let probe = || self.0.suspicion.probe(set, lane, &untried, now);
        missed.or_else(probe).ok_or_else(|| self.exhausted(set, lane, now))
    }

    fn exhausted(&self, set: &KeySet, lane: Option<&ModelLane>, now: Timestamp) -> Exhausted {
        let (mut earliest, mut probing) = (None, false);
        for key in 0..set.keys.len() {
            match (Place { set, model: lane, key }).outlook(now.as_unix_ms()) {
                Outlook::At(until) => earliest = Some(earliest.map_or(until, |before| until.min(before))),
                Outlook::Probing => probing = true,
                Outlook::Never => {}
            }
        }
        let earliest = earliest.or_else(|| self.0.suspicion.next_probe(set));
        Exhausted::until(earliest, probing, now)
    }

    /// Whether any model was ever at fault: only then is it worth knowing a request's model beforehand.
    pub(crate) fn knows_models(&self) -> bool {
        !self.0.set.load().models.is_empty()
    }

    /// When the first key becomes usable for a model.
    pub(crate) fn earliest(&self, model: Option<&ModelId>, now: Timestamp) -> Exhausted {
        let set = self.0.set.load();
        let lane = model.and_then(|model| set.models.get(model));
        self.exhausted(&set, lane.as_deref(), now)
    }

    pub(crate) fn emit(&self, event: &Event<'_>) {
        self.0.common.emit(event);
    }
}

impl Common {
    fn emit(&self, event: &Event<'_>) {
        event::emit(self.provider.name(), event);
    }
}

impl fmt::Debug for KeyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { common, set, suspicion: _ } = &*self.0;
        let Common { provider, selection, cooldowns: _, freed: _ } = &**common;
        f.debug_struct("KeyPool")
            .field("provider", &provider.name())
            .field("selection", selection)
            .field("keys", &set.load())
            .finish_non_exhaustive()
    }
}

/// Asks leave of all levels of a key; one that is refused gives back what it had.
fn admit(place: Place<'_>, now: u64) -> Option<Passes> {
    if place.key().is_disabled() {
        place.follow(Level::Key, now);
        return None;
    }
    let mut passes = Passes::default();
    for level in Level::ALL {
        let Some(slot) = place.slot(level) else { continue };
        let Admission::Granted(pass) = slot.admit(now) else {
            // Last, for the probes that are handed back show the key again.
            hand_back(place, passes, now);
            place.follow(level, now);
            return None;
        };
        passes[level as usize] = pass;
        if pass.probe {
            place.follow(level, now);
        }
    }
    Some(passes)
}

/// Gives back the probes among the passes.
fn hand_back(place: Place<'_>, passes: Passes, now: u64) {
    for level in Level::ALL {
        let pass = passes[level as usize];
        if let Some(slot) = place.slot(level).filter(|_| pass.probe) {
            slot.hand_back(pass);
            place.follow(level, now);
        }
    }
}

impl Place<'_> {
    fn outlook(self, now: u64) -> Outlook {
        let states = Level::ALL.map(|level| self.state(level));
        let waits = |state: &State| now < state.until && state.until < FOREVER;
        if self.key().is_disabled() || states.iter().any(|state| state.until == FOREVER && !state.probing) {
            Outlook::Never
        } else if states.iter().any(|state| state.probing && !waits(state)) {
            Outlook::Probing
        } else {
            Outlook::At(states.iter().fold(now, |latest, state| latest.max(state.until)))
        }
    }
}
