//! A lease: the right to use one key for one attempt.

pub(in crate::pool) mod apply_key;
mod debug;
mod drop;
mod in_flight;
mod observe;
pub(in crate::pool) mod open;
mod rebind;
pub(in crate::pool) mod settle;
mod shared_limits;
mod spacing;
pub(in crate::pool) mod undo;
pub(in crate::pool) mod usage_settlement;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, Request, StatusCode, Uri};

use crate::classify::Fault;
use crate::clock::{Moment, Timestamp};
use crate::key::{AccountId, Issued, KeyId, Secret, SecretSource};
use crate::limits::{Checkpoints, Cost, Estimate};
use crate::pool::acquire::admit::{Canaries, Permits, are_exclusive, hand_back};
use crate::pool::acquire::reserve::correct;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::model::ModelState;
use crate::pool::lease::apply_key::{apply, apply_to};
use crate::pool::lease::in_flight::InFlight;
use crate::pool::lease::undo::UndoCooldown;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::Permit;
use crate::pool::{ApplyKeyError, UsageSettlement};
use crate::provider::{ModelId, ModelNames};

/// The right to use one key for one attempt.
///
/// Report the result with [`succeed`](Self::succeed) or [`fail`](Self::fail). Dropping a lease means that
/// the result is unknown: no key is blamed, and a probe passes to the next request.
///
/// ```
/// use tower_key_rotation::classify::{Fault, Reason, Scope};
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
///
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
/// let lease = pool.acquire(())?;
/// // Apply the key to a request with `apply_key`, send the request, and report the result:
/// lease.fail(&Fault::new(Reason::QuotaExceeded, Scope::Account), None);
/// assert_eq!(pool.usable(None), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lease that is dropped at once uses no key"]
pub struct Lease {
    set: InFlight,
    model_state: Option<Arc<ModelState>>,
    /// The account that admitted the lease, and that it settles with.
    account: usize,
    permits: Permits,
    canaries: Canaries,
    /// The cost that the lease took of the limits of its lane.
    cost: Cost,
    /// The cost that it was admitted with. Unlike `cost`, it includes a part that was given back since.
    asked: Cost,
    /// The checkpoint of the ledger at the [home](Candidate::home) scope.
    checkpoints: Option<Checkpoints>,
    began: Moment,
    /// The secret that the key's source has given, once the lease has used it.
    issued: OnceLock<Arc<Issued>>,
    /// Whether the key was applied to a request, which may have been executed.
    stamped: AtomicBool,
}

// === impl Lease ===

impl Lease {
    /// Returns the id of the key.
    pub fn key_id(&self) -> &KeyId {
        &self.candidate().key().id
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
        self.permits.iter().any(|permit| permit.probe) || self.canaries.contains(&true)
    }

    /// Applies the key to a request to `uri`: directs it to the [base URL](crate::ApiKey::base_url) of the key, adds
    /// the key's [headers](crate::ApiKey::header), and removes all other credentials and everything that names the
    /// account that pays.
    ///
    /// # Errors
    ///
    /// Returns [`ApplyKeyError`] if the key has no base URL and the origin of `uri` does not belong to the provider,
    /// if the path would leave the base URL, if the URL can't take the key, or if the key's
    /// [source](crate::key::SecretSource) has no valid secret. The request must not be sent then.
    pub fn apply_key(&self, uri: &mut Uri, headers: &mut HeaderMap) -> Result<(), ApplyKeyError> {
        apply(self, uri, headers, None)
    }

    /// Applies the key to a request, like [`apply_key`](Self::apply_key). After an error the request has no URL any
    /// more. Names the key in an extension, if `tell` is set or if the key has a destination of its own.
    pub(crate) fn apply_key_to<B>(&self, request: &mut Request<B>, tell: bool) -> Result<(), ApplyKeyError> {
        apply_to(self, request, tell)
    }

    /// Returns whether the key has a valid secret, and takes it for this lease. True for a key without a source.
    pub(crate) fn has_secret(&self) -> bool {
        let Some(source) = self.source() else { return true };
        if self.issued.get().is_none() {
            source.valid().into_iter().for_each(|issued| drop(self.issued.set(issued)));
        }
        self.issued.get().is_some()
    }

    /// Returns the source of the key's secret, if it may change.
    pub(crate) fn source(&self) -> Option<&SecretSource> {
        self.candidate().key().spec.source()
    }

    /// Returns the secret that the key's source has given.
    pub(crate) fn issued(&self) -> Option<&Issued> {
        self.issued.get().map(|issued| &**issued)
    }

    /// Uses another secret of the key's source from now on.
    pub(crate) fn set_issued(&mut self, issued: Arc<Issued>) {
        self.issued = OnceLock::from(issued);
    }

    /// Returns the names of models under which requests with this key are sent, if there are any.
    pub(crate) fn model_names(&self) -> Option<&ModelNames> {
        let destination = self.candidate().key().spec.destination()?;
        destination.names.matter().then_some(&destination.names)
    }

    /// Returns whether other keys of the pool send requests to other base URLs.
    pub(crate) fn is_one_place_of_several(&self) -> bool {
        self.set.has_several_places
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

    /// Reports that the attempt succeeded. A probe that succeeds makes the key usable again.
    pub fn succeed(mut self) {
        self.succeed_at(Timestamp::now());
    }

    /// Reports a success, and returns the accounting that stays open until the response body ends. The lease
    /// is of no use afterwards.
    pub(crate) fn succeed_at(&mut self, now: Timestamp) -> UsageSettlement {
        settle::succeed(self, now)
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
    pub fn fail(mut self, fault: &Fault, model: Option<&ModelId>) -> Option<UndoCooldown> {
        self.fail_at(fault, model, Timestamp::now())
    }

    pub(crate) fn fail_at(
        &mut self,
        fault: &Fault,
        model: Option<&ModelId>,
        now: Timestamp,
    ) -> Option<UndoCooldown> {
        settle::fail(self, fault, model, now)
    }

    /// Records the information about the key in the head of a response: the account that the request was
    /// counted for, where the provider names it (OpenAI, Anthropic), and the remainder of each limit. Keys
    /// whose responses name the same account share its limits from then on, unless their accounts were
    /// declared. A key whose limit is used up is not leased again before the limit is back.
    ///
    /// `model` is the model of the request, whose limits these are. If it is unknown, they apply to all
    /// models.
    ///
    /// The rotation layer calls this for every response. Without the layer, call it before the lease is
    /// settled.
    pub fn observe(&mut self, status: StatusCode, headers: &HeaderMap, model: Option<&ModelId>) {
        self.observe_at(status, headers, || model.cloned(), Moment::now());
    }

    /// Records the head of a response. `model` is called only if the response reports limits.
    pub(crate) fn observe_at(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        model: impl FnOnce() -> Option<ModelId>,
        answered: Moment,
    ) {
        observe::observe(self, status, headers, model, answered);
    }

    /// Returns the keys of the account, including this one.
    pub(crate) fn keys_of_account(&self) -> Vec<KeyId> {
        let members = self.set.members(self.account, self.set.key());
        members.into_iter().map(|key| self.set.keys[key].id.clone()).collect()
    }

    /// Returns whether the key served a request within the last 60 s.
    pub(crate) fn is_proven(&self, now: Timestamp) -> bool {
        self.candidate().key().served.is_recent(now.as_unix_ms())
    }

    /// Gives the tokens back after the provider did not run the request.
    pub(crate) fn refund(&mut self) {
        let thought = std::mem::replace(&mut self.cost, Cost::REQUEST).tokens();
        correct(self.candidate(), thought, Estimate::NONE, self.began, self.began);
    }

    /// Returns whether the lease may keep other requests out: it is a probe, or has a place in a slow start.
    pub(crate) fn is_exclusive(&self) -> bool {
        are_exclusive(self.permits, self.canaries)
    }

    /// Notes that a request for an endpoint is about to be sent as a probe, so that the endpoint has had its try.
    pub(crate) fn note_probe(&self, endpoint: u64) {
        let candidate = self.candidate();
        for level in Level::ALL.into_iter().filter(|level| self.permits[*level as usize].probe) {
            candidate.set.common.probe_rounds.note(&candidate.scope_id(level), endpoint);
        }
    }

    /// Lets other requests in, in place of this lease. The lease goes on, but its result proves nothing.
    pub(crate) fn give_probe_back(&mut self) {
        if self.is_exclusive() {
            let now = Timestamp::now().as_unix_ms();
            hand_back(self.candidate(), self.permits, self.canaries, now);
            self.permits = self.permits.map(Permit::without_probe);
            self.canaries = Canaries::default();
            self.set.common.released.tell();
        }
    }

    /// Returns the secret, which must not appear in a response.
    pub(crate) fn secret(&self) -> &Secret {
        self.issued().map_or_else(|| self.candidate().key().spec.secret(), Issued::secret)
    }

    /// Takes the permit of a scope. From then on the caller is responsible for its probe.
    pub(in crate::pool) fn take(&mut self, level: Level) -> Permit {
        let permit = &mut self.permits[level as usize];
        std::mem::replace(permit, Permit { probe: false, ..*permit })
    }

    pub(in crate::pool) fn candidate(&self) -> Candidate<'_> {
        let (key, account) = (self.set.key(), self.account);
        Candidate { set: &self.set, model: self.model_state.as_deref(), key, account }
    }
}
