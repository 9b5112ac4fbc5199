//! Doubts: refusals that may be the fault of the request itself.
//!
//! Suppose that a provider responds to one path with 401 whatever the key. Without this module, any caller
//! could then take every key from all others: the request goes from key to key, and each is put into a
//! cooldown. So a refusal that concerns keys (invalid, forbidden, out of quota) is a *doubt* until the
//! request is over. A limit is none, because it counts the use of other requests as well: a rate, and a used-up quota
//! that comes back at a stated time.
//!
//! - Another key serves the same request: the request was fine. The doubt is [confirmed](ProvisionalCooldown::confirm).
//!   If the refusal names no reason in the account, it may concern the endpoint, the object or a header only: the
//!   next request for another endpoint tries the key once, and its success frees the key.
//! - The request turns out to be the cause: the doubt is [absolved](ProvisionalCooldown::undo).
//! - Neither: the doubt is dropped. It counts against the key only if there is evidence beyond this request:
//!   the key was being probed after a refusal, or is out of the grace period that [`standing`](crate::pool::keys::standing) gives it.
//!
//! A proven key stays usable for other requests meanwhile: otherwise a slow request that is refused
//! everywhere would leave them a single key for as long as it takes. An unproven key is kept out at once, so
//! that concurrent requests do not meet the same refusal. Without evidence this happens only while each model
//! keeps a usable key: one request never puts out the last one. Cooldowns are announced when they are
//! certain, so that an undone cooldown raises no alarm.

use std::time::Duration;

use crate::classify::{Fault, Reason, Scope};
use crate::clock::Timestamp;
use crate::key::KeyId;
use crate::pool::Lease;
use crate::pool::learn::last_key::leaves_a_key;
use crate::pool::lease::settle::blame;
use crate::pool::lease::undo::Target;
use crate::pool::scope::slot::{Cause, CooldownChange, Permit, State};
use crate::provider::ModelId;

/// A refusal of a key, as long as it is undecided whether the key or the request is to blame.
///
/// Dropping it means that nothing confirmed the refusal.
#[must_use = "confirm it when another key serves the request"]
pub(crate) struct ProvisionalCooldown {
    target: Target,
    fault: Fault,
    model: Option<ModelId>,
    endpoint: u64,
    at: Timestamp,
    /// Whether there is evidence against the key beyond the request.
    evident: bool,
    /// The cooldown of the key. `None` if the key is proven or the last usable one, or was in a cooldown
    /// already.
    cooldown: Option<CooldownChange>,
    settled: bool,
}

/// Returns the fault with the largest scope that a refusal proves. A missing permission that is not
/// attributed to the account was seen with one model, and concerns no other. Without a known model it
/// concerns the requested resource, and no key.
fn narrowed(fault: &Fault, model: Option<&ModelId>) -> Option<Fault> {
    if fault.reason() != Reason::Forbidden || fault.account_reason() {
        return Some(fault.clone());
    }
    let scope = match fault.scope() {
        Scope::Key => Scope::KeyModel,
        Scope::Account => Scope::AccountModel,
        scope => scope,
    };
    model.map(|_| fault.clone().with_scope(scope))
}

// === impl ProvisionalCooldown ===

impl ProvisionalCooldown {
    /// Records a refusal that may be the fault of the key or of the request. Returns `None` if nothing is
    /// recorded, because the refusal concerns only one resource.
    ///
    /// `endpoint` is the hash of the request's destination.
    pub(crate) fn raise(
        lease: &mut Lease,
        fault: &Fault,
        model: Option<&ModelId>,
        endpoint: u64,
        now: Timestamp,
    ) -> Option<Self> {
        let known = may_be_of_endpoint(fault) && is_known(lease, endpoint, now);
        let Some(fault) = narrowed(fault, model).filter(|_| !known) else {
            lease.refund();
            return None;
        };
        let level = blame(lease, &fault, model, now)?;
        let was_refused = lease.candidate().state(level).is_of_refusal();
        let permit = lease.take(level);
        let target = Target::of(lease, level);
        // A probe after a limit tells whether the limit is over, and nothing else about the key.
        let is_probe = permit.probe && was_refused;
        let evident = is_probe || !is_in_grace(&target, endpoint, now);
        let cooldown = match is_probe && is_further_try(&target, endpoint) {
            true => None,
            false => cool_down_provisionally(&target, permit, &fault, evident, now),
        };
        lease.candidate().key().stats.failed();
        if permit.probe {
            if cooldown.is_none() {
                hand_back(&target, permit, now);
            }
            target.set.common.released.tell();
        }
        let model = model.cloned();
        Some(Self { target, fault, model, endpoint, at: now, evident, cooldown, settled: false })
    }

    /// Returns the duration of the cooldown so far. `None` if there is none, or if it lasts until the key is
    /// replaced or reset.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.cooldown?.wait(self.at)
    }

    /// Returns the keys that the refusal concerns.
    pub(crate) fn keys(&self) -> impl Iterator<Item = KeyId> {
        self.target.members().into_iter().map(|key| self.target.set.keys[key].id.clone())
    }

    /// Confirms the doubt: another key has served the same request. Returns the duration of the cooldown.
    pub(crate) fn confirm(mut self, now: Timestamp) -> Option<Duration> {
        self.settled = true;
        if self.cooldown.is_none() {
            self.cooldown = put_out(&self.target, &self.fault, self.at, now);
        }
        if may_be_of_endpoint(&self.fault) {
            self.note_confirmed();
        } else {
            forget_refusals(&self.target);
        }
        self.announce();
        self.wait()
    }

    /// Drops the doubt: no key has served the request. Returns the duration of the cooldown that stays
    /// nevertheless.
    pub(crate) fn leave_unconfirmed(self) -> Option<Duration> {
        self.wait().filter(|_| self.evident)
    }

    /// Absolves the key: the request is to blame.
    pub(crate) fn undo(mut self, now: Timestamp) {
        self.settled = true;
        self.take_back(now);
    }

    /// Records that another key has served the request. The endpoint may refuse the keys for a reason of its own, so
    /// they are tried at another one.
    fn note_confirmed(&self) {
        let (target, endpoint) = (&self.target, self.endpoint);
        let mut refusals = target.set.common.provisionals();
        for key in target.members() {
            refusals.confirm(key, &target.set.keys[key].served, endpoint, self.at.as_unix_ms());
        }
        drop(refusals);
        let (rounds, scope) = (&target.set.common.probe_rounds, target.candidate().scope_id(target.level));
        match self.begins() {
            true => rounds.begin_confirmed(scope, endpoint),
            false => rounds.confirm(&scope, endpoint),
        }
    }

    /// Records that no other key has served the request.
    fn note_refused(&self) {
        let (target, endpoint) = (&self.target, self.endpoint);
        let mut refusals = target.set.common.provisionals();
        let mut note =
            |key: usize| refusals.note(key, &target.set.keys[key].served, endpoint, self.at.as_unix_ms());
        let first = target.members().into_iter().map(&mut note).last().unwrap_or(endpoint);
        drop(refusals);
        let (rounds, scope) = (&target.set.common.probe_rounds, target.candidate().scope_id(target.level));
        match self.evident && self.begins() {
            true => rounds.begin_refused(scope, [first, endpoint]),
            false => rounds.note(&scope, endpoint),
        }
    }

    /// Returns whether the scope was not refused before.
    fn begins(&self) -> bool {
        self.cooldown.is_some_and(|cooldown| !cooldown.before.is_of_refusal())
    }

    fn take_back(&self, now: Timestamp) {
        if let Some(cooldown) = self.cooldown {
            self.target.undo(cooldown, now);
        }
    }

    fn announce(&self) {
        if self.cooldown.is_some() {
            self.target.announce(&self.fault, self.model.as_ref(), self.wait());
        }
    }
}

impl Drop for ProvisionalCooldown {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.note_refused();
        if self.evident {
            self.announce();
        } else {
            self.take_back(Timestamp::now());
        }
    }
}

/// Gives a probe back that has shown nothing.
fn hand_back(target: &Target, permit: Permit, now: Timestamp) {
    target.slot().into_iter().for_each(|slot| slot.hand_back(permit));
    target.candidate().sync(target.level, now.as_unix_ms());
}

/// Returns whether a refusal by itself says nothing against any of the keys.
fn is_in_grace(target: &Target, endpoint: u64, now: Timestamp) -> bool {
    let (refusals, now) = (target.set.common.provisionals(), now.as_unix_ms());
    let served = |key: usize| &target.set.keys[key].served;
    target.members().into_iter().any(|key| refusals.is_in_grace(key, served(key), endpoint, now))
}

/// Returns whether a probe is one of the further tries of a round. Its refusal leaves the cooldown as it is.
fn is_further_try(target: &Target, endpoint: u64) -> bool {
    let scope = target.candidate().scope_id(target.level);
    !target.set.common.probe_rounds.is_scheduled(&scope, endpoint)
}

/// Returns whether the endpoint may be the reason of a refusal: none is named in the account, and the base URL of the
/// key does not lack the model.
const fn may_be_of_endpoint(fault: &Fault) -> bool {
    !fault.account_reason() && !fault.is_not_here()
}

/// Returns whether it is known that this endpoint refuses the key, which others accept.
fn is_known(lease: &Lease, endpoint: u64, now: Timestamp) -> bool {
    let candidate = lease.candidate();
    let refusals = candidate.set.common.provisionals();
    refusals.is_known(candidate.key, &candidate.key().served, endpoint, now.as_unix_ms())
}

/// Forgets the refusals of the keys, which are known to be to blame.
fn forget_refusals(target: &Target) {
    let mut refusals = target.set.common.provisionals();
    target.members().into_iter().for_each(|key| refusals.forget(key));
    drop(refusals);
    target.set.common.probe_rounds.end(&target.candidate().scope_id(target.level));
}

/// Puts the scope into a cooldown that can be undone, if there is evidence or if it does no harm. The
/// lock admits one doubt at a time. Otherwise two doubts could each count the other's key as the one that
/// stays usable.
fn cool_down_provisionally(
    target: &Target,
    permit: Permit,
    fault: &Fault,
    evident: bool,
    now: Timestamp,
) -> Option<CooldownChange> {
    let _one_at_a_time = target.set.common.provisionals();
    let is_out = target.slot()?.state().cause.is_some() && !permit.probe;
    let at = now.as_unix_ms();
    if is_out || !(evident || !is_proven(target, at) && leaves_a_key(target, at)) {
        return None;
    }
    Some(target.cool_down(permit, Cause::of(fault), fault.retry_after(), now)?.0)
}

/// Puts the scope into a cooldown for a refusal at `refused`, unless it is in a cooldown already, or has
/// served a request or was freed since.
fn put_out(target: &Target, fault: &Fault, refused: Timestamp, now: Timestamp) -> Option<CooldownChange> {
    let _one_at_a_time = target.set.common.provisionals();
    let (slot, at) = (target.slot()?, refused.as_unix_ms());
    let has_served = |key: usize| target.set.keys[key].served.is_after(at);
    let state @ State { epoch, .. } = slot.state();
    if state.is_closed(now.as_unix_ms()) || slot.since() > at || target.members().into_iter().any(has_served)
    {
        return None;
    }
    let permit = Permit { epoch, ..Permit::default() };
    Some(target.cool_down(permit, Cause::of(fault), fault.retry_after(), now)?.0)
}

/// Returns whether any of the keys served a request within the last 60 s.
fn is_proven(target: &Target, now: u64) -> bool {
    target.members().into_iter().any(|key| target.set.keys[key].served.is_recent(now))
}
