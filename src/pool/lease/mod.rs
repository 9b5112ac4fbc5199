//! A lease: the right to use one key for one attempt.

pub(in crate::pool) mod apply_key;
pub(in crate::pool) mod in_flight;
pub(in crate::pool) mod observe;
pub(in crate::pool) mod penalty;
pub(in crate::pool) mod rebind;
pub(in crate::pool) mod settle;
mod shared_limits;
pub(in crate::pool) mod spacing;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, Request, Uri};

use crate::classify::Fault;
use crate::clock::{Moment, Timestamp};
use crate::key::{AccountId, KeyId, Secret};
use crate::limits::{Estimate, Marks, Need};
use crate::pool::acquire::admit::{Admitted, Passes, Trials, are_narrow, hand_back, step_off};
use crate::pool::keys::candidate::Place;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelLane;
use crate::pool::lease::in_flight::InFlight;
use crate::pool::lease::penalty::Penalty;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, FOREVER, Pass, State};
use crate::pool::{StampError, Tab};
use crate::provider::{AccountHeaders, ModelId};

/// The right to use one key for one attempt.
///
/// Report the result with [`succeed`](Self::succeed) or [`fault`](Self::fault). Dropping a lease means that
/// the result is unknown: no key is blamed, and a probe passes to the next request.
///
/// ```
/// use tower_key_rotation::classify::{Fault, Reason, Scope};
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
///
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
/// let lease = pool.acquire(None)?;
/// // Apply the key to a request with `stamp`, send the request, and report the result:
/// lease.fault(&Fault::new(Reason::QuotaExceeded, Scope::Account), None);
/// assert_eq!(pool.usable(None), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lease that is dropped at once uses no key"]
pub struct Lease {
    pub(in crate::pool) set: InFlight,
    pub(in crate::pool) lane: Option<Arc<ModelLane>>,
    /// The account that admitted the lease, and that it settles with.
    pub(in crate::pool) account: usize,
    pub(in crate::pool) passes: Passes,
    pub(in crate::pool) trials: Trials,
    /// The cost that the lease took of the limits of its lane.
    pub(in crate::pool) need: Need,
    /// The cost that it was admitted with. Unlike `need`, it includes a part that was given back since.
    pub(in crate::pool) asked: Need,
    /// The checkpoint of the ledger at the [home](Place::home) scope.
    pub(in crate::pool) marks: Option<Marks>,
    pub(in crate::pool) began: Moment,
    /// Whether the key was applied to a request, which may have been executed.
    stamped: AtomicBool,
}

// === impl Lease ===

impl Lease {
    pub(in crate::pool) fn new(
        set: Arc<KeySet>,
        lane: Option<Arc<ModelLane>>,
        admitted: Admitted,
        need: Need,
        now: Moment,
    ) -> Self {
        let Admitted { key, account, passes, trials, marks } = admitted;
        Self {
            set: InFlight::new(set, key, now.as_unix_ms()),
            lane,
            account,
            passes,
            trials,
            need,
            asked: need,
            marks,
            began: now,
            stamped: AtomicBool::new(false),
        }
    }

    /// Returns the id of the key.
    pub fn key_id(&self) -> &KeyId {
        &self.place().key().id
    }

    /// Returns the account of the key, if one was declared for it or for a key that shares its account.
    pub fn account(&self) -> Option<&AccountId> {
        self.set.accounts[self.account].id.as_ref()
    }

    /// Returns the moment at which the key was leased.
    pub(crate) const fn began(&self) -> Moment {
        self.began
    }

    /// Returns whether this attempt is a probe: its result decides whether something has recovered.
    pub fn is_probe(&self) -> bool {
        self.passes.iter().any(|pass| pass.probe) || self.trials.contains(&true)
    }

    /// Applies the key to a request to `uri`. Removes all other credentials, and every header and query
    /// parameter that names the account that pays.
    ///
    /// # Errors
    ///
    /// Returns [`StampError`] if the origin of `uri` does not belong to the provider, or if the URL can't
    /// take the key. The request must not be sent then.
    pub fn stamp(&self, uri: &mut Uri, headers: &mut HeaderMap) -> Result<(), StampError> {
        self.put_on(uri, headers)?;
        self.stamped.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Applies the key to a request, like [`stamp`](Self::stamp). After an error the request has no URL any
    /// more.
    pub(crate) fn stamp_on<B>(&self, request: &mut Request<B>) -> Result<(), StampError> {
        let mut uri = std::mem::take(request.uri_mut());
        self.stamp(&mut uri, request.headers_mut())?;
        *request.uri_mut() = uri;
        if let Some(own) = request.extensions().get::<AccountHeaders>().cloned() {
            own.put_on(request.headers_mut());
        }
        Ok(())
    }

    /// Returns whether the key was applied to a request, which may have been sent.
    pub(crate) fn is_stamped(&self) -> bool {
        self.stamped.load(Ordering::Relaxed)
    }

    /// Records that the request was not sent, even if the key was applied to it. It is no call of the key
    /// then, and costs nothing of its limits.
    pub(crate) fn set_unsent(&mut self) {
        self.stamped.store(false, Ordering::Relaxed);
        self.set.uncount();
    }

    fn put_on(&self, uri: &mut Uri, headers: &mut HeaderMap) -> Result<(), StampError> {
        let provider = &self.set.common.provider;
        if !provider.allows(uri) {
            return Err(StampError::foreign(provider, uri));
        }
        provider.auth().strip(uri, headers).map_err(StampError::url)?;
        let (auth, key) = (provider.auth_at(uri), self.place().key());
        if auth == provider.auth() {
            return auth.stamp(uri, headers, &key.header).map_err(StampError::url);
        }
        // The other scheme is rare enough to render the key each time. A secret that made one header makes
        // the other, too.
        let header = key.secret.render(auth).map_err(|_| StampError::foreign(provider, uri))?;
        auth.stamp(uri, headers, &header).map_err(StampError::url)
    }

    /// Reports that the attempt succeeded. A probe that succeeds makes the key usable again.
    pub fn succeed(mut self) {
        self.succeed_at(Timestamp::now());
    }

    /// Reports a success, and returns the accounting that stays open until the response body ends. The lease
    /// is of no use afterwards.
    pub(crate) fn succeed_at(&mut self, now: Timestamp) -> Tab {
        self.place().key().succeeded(now);
        for level in Level::ALL {
            match self.passes[level as usize] {
                Pass { probe: true, .. } => self.recover(level, now),
                Pass { ramp: true, .. } => self.climb(level, now),
                Pass { .. } => {}
            }
        }
        self.contradict();
        self.end_outage(now);
        self.keep_pace();
        self.set.common.pace.answered(Moment::from(now).saturating_since(self.began));
        self.place().key().tally.request(now);
        if let Some(lane) = &self.lane {
            lane.tally.request(now);
        }
        Tab {
            set: self.set.hand_over(),
            lane: self.lane.clone(),
            account: self.account,
            need: self.need,
            began: self.began,
            model: None,
            closed: AtomicBool::new(false),
        }
    }

    /// Reports that the attempt failed. Puts the scope of the fault into a cooldown, for the wait that the
    /// fault names or as the pool's [`Cooldowns`](crate::pool::Cooldowns) say. Returns the cooldown, which can be
    /// undone.
    ///
    /// Returns `None` if no cooldown follows: for a fault of the provider or of a single resource, and for an
    /// attempt that began before the key last became usable.
    ///
    /// `model` is the model that the attempt was for. Faults with the scope of one model concern all models
    /// if it is unknown.
    pub fn fault(mut self, fault: &Fault, model: Option<&ModelId>) -> Option<Penalty> {
        self.fault_at(fault, model, Timestamp::now())
    }

    pub(crate) fn fault_at(
        &mut self,
        fault: &Fault,
        model: Option<&ModelId>,
        now: Timestamp,
    ) -> Option<Penalty> {
        let level = self.blame(fault, model, now)?;
        self.bench(level, fault, model, now)
    }

    /// Returns the scope that a fault concerns, if it concerns one as a whole.
    pub(in crate::pool) fn blame(
        &mut self,
        fault: &Fault,
        model: Option<&ModelId>,
        now: Timestamp,
    ) -> Option<Level> {
        self.move_along();
        if !fault.is_ambiguous() {
            self.set.common.pace.refused(Moment::from(now).saturating_since(self.began));
            self.refund();
        }
        if fault.is_of_resource() {
            return None;
        }
        let level = self.level(fault.scope(), model, now)?;
        self.prove_valid(Cause::of(fault), now);
        Some(level)
    }

    /// Gives the tokens back after the provider did not run the request.
    pub(crate) fn refund(&mut self) {
        let thought = std::mem::replace(&mut self.need, Need::REQUEST).tokens();
        self.place().correct(thought, Estimate::NONE, self.began, self.began);
    }

    /// Returns whether the lease may keep other requests out: it is a probe, or has a place in a slow start.
    pub(crate) fn is_narrow(&self) -> bool {
        are_narrow(self.passes, self.trials)
    }

    /// Lets other requests in, in place of this lease. The lease goes on, but its result proves nothing.
    pub(crate) fn give_probe_back(&mut self) {
        if self.is_narrow() {
            let now = Timestamp::now().as_unix_ms();
            hand_back(self.place(), self.passes, self.trials, now);
            self.passes = self.passes.map(Pass::without_probe);
            self.trials = Trials::default();
            self.set.common.freed.tell();
        }
    }

    /// Returns the secret, which must not appear in a response.
    pub(crate) fn secret(&self) -> &Secret {
        &self.place().key().secret
    }

    pub(in crate::pool) fn place(&self) -> Place<'_> {
        let (key, account) = (self.set.key(), self.account);
        Place { set: &self.set, model: self.lane.as_deref(), key, account }
    }

    /// Frees the key of a suspicion of being invalid: a provider that limits a key has accepted it.
    fn prove_valid(&mut self, cause: Cause, now: Timestamp) {
        for level in Level::OF_KEY {
            let suspect = self.place().state(level).cause == Some(Cause::Invalid);
            if cause != Cause::Invalid && suspect && self.passes[level as usize].probe {
                self.recover(level, now);
            }
        }
    }

    fn recover(&mut self, level: Level, now: Timestamp) {
        let pass = self.take(level);
        let place = self.place();
        // A key that recovers after its burst was lifted says nothing about the other keys of the burst.
        let suspect = matches!(place.state(level), State { cause: Some(Cause::Invalid), until: FOREVER, .. });
        let last = self.set.common.cooldowns.last_on_ramp();
        let recovered = place.slot(level).and_then(|slot| slot.recover(pass, now.as_unix_ms(), last));
        place.follow(level, now.as_unix_ms());
        let Some(pass) = recovered else { return };
        self.passes[level as usize] = pass;
        if suspect {
            self.set.common.suspicion.lift(&self.set, now.as_unix_ms());
        }
        self.set.common.freed.tell();
        self.announce_recovery(level);
    }

    /// Ends the place of a lease in a slow start with a success, which doubles the number of places.
    fn climb(&mut self, level: Level, now: Timestamp) {
        let pass = std::mem::take(&mut self.passes[level as usize]);
        step_off(self.place(), level, pass, true, now.as_unix_ms());
        self.set.common.freed.tell();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.set.is_handed_over() {
            let place = self.place();
            if self.stamped.load(Ordering::Relaxed) {
                place.leave(self.began);
            } else {
                place.give_all_back(&self.need, self.began);
            }
        }
        if are_narrow(self.passes, self.trials) {
            let now = Timestamp::now().as_unix_ms();
            hand_back(self.place(), self.passes, self.trials, now);
            self.set.common.freed.tell();
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, began, .. } = self;
        f.debug_struct("Lease")
            .field("provider", &set.common.provider.name())
            .field("key", self.key_id())
            .field("probe", &self.is_probe())
            .field("began", began)
            .finish_non_exhaustive()
    }
}
