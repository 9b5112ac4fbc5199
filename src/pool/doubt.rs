//! Refusals that the request itself may be to blame for.
//!
//! A provider that answers one path with 401 whatever the key would otherwise let any caller take every key from
//! all others: the request goes from key to key, and each is put into a cooldown. So a refusal that concerns keys
//! (invalid, forbidden, out of quota; not a 429, which counts what other requests used as well) is a *doubt* until
//! the request is over:
//!
//! * Another key serves the same request: the request was fine. The doubt is [confirmed](Doubt::confirm).
//! * The request turns out to be the cause: the doubt is [absolved](Doubt::absolve).
//! * Neither: the doubt is dropped, and held against the key only if there is evidence beyond this request: the key
//!   is on probation, or out of the grace that [`standing`](super::standing) gives it.
//!
//! A key that is proven stays usable for others meanwhile: a slow request that is refused everywhere would otherwise
//! leave them a single key for as long as it takes. A key that is not proven is kept out at once, so that requests
//! beside this one do not meet the same refusal, but without evidence only while each model keeps a usable key: the
//! last one is never put out by one request. Cooldowns are announced when they are certain, so that one that is
//! taken back raises no alarm.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::Lease;
use super::key_set::KeySet;
use super::models::ModelLane;
use super::penalty::Target;
use super::place::{Level, Place};
use super::slot::{Benched, Cause, Pass, State};
use super::standing::FirstRefusals;
use crate::classify::{Fault, Reason, Scope};
use crate::clock::Timestamp;
use crate::key::KeyId;
use crate::provider::ModelId;

/// A key was refused, and it is not decided whether the key or the request is to blame.
///
/// Dropping it says that nothing confirmed it.
#[must_use = "confirm it when another key serves the request"]
pub(crate) struct Doubt {
    target: Target,
    fault: Fault,
    model: Option<ModelId>,
    endpoint: u64,
    at: Timestamp,
    /// There is evidence against the key beyond the request.
    evident: bool,
    /// The key is out for it. `None`: it is proven or the last usable one, or was out already.
    benched: Option<Benched>,
    settled: bool,
}

// === impl Lease ===

impl Lease {
    /// Whether the key served a request within the last 60 s.
    pub(crate) fn is_proven(&self, now: Timestamp) -> bool {
        self.place().key().served.is_recent(now.as_unix_ms())
    }

    /// The attempt was refused for what may be the key's or the request's fault. `None`: nothing is remembered,
    /// for the refusal concerns one resource only.
    ///
    /// `endpoint` is the hash of where the request went.
    pub(crate) fn doubt(
        &mut self,
        fault: &Fault,
        model: Option<&ModelId>,
        endpoint: u64,
        now: Timestamp,
    ) -> Option<Doubt> {
        let Some(fault) = narrowed(fault, model) else {
            self.refund();
            return None;
        };
        let level = self.blame(&fault, model, now)?;
        let pass = self.take(level);
        let target = self.target(level);
        let evident = pass.probe || !target.is_in_grace(endpoint, now);
        let benched = target.doubt(pass, &fault, evident, now);
        self.place().key().stats.failed();
        if pass.probe {
            self.set.common.freed.tell();
        }
        Some(Doubt {
            target,
            fault,
            model: model.cloned(),
            endpoint,
            at: now,
            evident,
            benched,
            settled: false,
        })
    }
}

/// What a refusal concerns at most. A missing permission whose reason is not said to lie in the account was seen
/// with one model, and concerns no other; where no model is known it concerns what was asked for, and no key.
fn narrowed(fault: &Fault, model: Option<&ModelId>) -> Option<Fault> {
    if fault.reason() != Reason::Forbidden || fault.names_account() {
        return Some(fault.clone());
    }
    let scope = match fault.scope() {
        Scope::Key => Scope::KeyModel,
        Scope::Account => Scope::AccountModel,
        scope => scope,
    };
    model.map(|_| fault.clone().with_scope(scope))
}

// === impl Doubt ===

impl Doubt {
    /// How long the key is out for it so far; `None`: not at all, or until it is replaced or reset.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.benched?.wait(self.at)
    }

    /// The keys that the refusal concerns.
    pub(crate) fn keys(&self) -> impl Iterator<Item = KeyId> {
        self.target.members().into_iter().map(|key| self.target.set.keys[key].id.clone())
    }

    /// Another key has served the same request. Returns how long the key is out.
    pub(crate) fn confirm(mut self, now: Timestamp) -> Option<Duration> {
        self.settled = true;
        if self.benched.is_none() {
            self.benched = self.target.put_out(&self.fault, self.at, now);
        }
        self.target.forget_refusals();
        self.announce();
        self.wait()
    }

    /// No key has served the request. Returns how long the key is out all the same.
    pub(crate) fn leave_unconfirmed(self) -> Option<Duration> {
        self.wait().filter(|_| self.evident)
    }

    /// The request is to blame.
    pub(crate) fn absolve(mut self, now: Timestamp) {
        self.settled = true;
        self.undo(now);
    }

    fn undo(&self, now: Timestamp) {
        if let Some(benched) = self.benched {
            self.target.undo(benched, now);
        }
    }

    fn announce(&self) {
        if self.benched.is_some() {
            self.target.announce(&self.fault, self.model.as_ref(), self.wait());
        }
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        self.target.note_refused(self.endpoint, self.at);
        if self.evident {
            self.announce();
        } else {
            self.undo(Timestamp::now());
        }
    }
}

// === impl Target ===

impl Target {
    /// The keys that it stands for.
    fn members(&self) -> Vec<usize> {
        match self.level {
            Level::Key | Level::KeyModel => vec![self.key],
            Level::Account | Level::AccountModel => self.set.members(self.account, self.key),
        }
    }

    /// Whether a refusal says nothing by itself against any of the keys.
    fn is_in_grace(&self, endpoint: u64, now: Timestamp) -> bool {
        let (refusals, now) = (self.set.doubts(), now.as_unix_ms());
        let served = |key: usize| &self.set.keys[key].served;
        self.members().into_iter().any(|key| refusals.is_in_grace(key, served(key), endpoint, now))
    }

    fn note_refused(&self, endpoint: u64, at: Timestamp) {
        let mut refusals = self.set.doubts();
        for key in self.members() {
            refusals.note(key, &self.set.keys[key].served, endpoint, at.as_unix_ms());
        }
    }

    /// The keys are known to be to blame.
    fn forget_refusals(&self) {
        let mut refusals = self.set.doubts();
        self.members().into_iter().for_each(|key| refusals.forget(key));
    }

    /// Puts the scope into a cooldown that may be taken back, if that is evident or does no harm. One doubt at a
    /// time, or two could each take the other for what stays usable.
    fn doubt(&self, pass: Pass, fault: &Fault, evident: bool, now: Timestamp) -> Option<Benched> {
        let _one_at_a_time = self.set.doubts();
        let is_out = self.slot()?.state().cause.is_some() && !pass.probe;
        let at = now.as_unix_ms();
        if is_out || !(evident || !self.is_proven(at) && self.leaves_a_key(at)) {
            return None;
        }
        Some(self.cool_down(pass, Cause::of(fault), fault.wait(), now)?.0)
    }

    /// Puts the scope into a cooldown for a refusal that came at `refused`, unless it is out already, or has
    /// served or was freed since.
    fn put_out(&self, fault: &Fault, refused: Timestamp, now: Timestamp) -> Option<Benched> {
        let _one_at_a_time = self.set.doubts();
        let (slot, at) = (self.slot()?, refused.as_unix_ms());
        let has_served = |key: usize| self.set.keys[key].served.is_after(at);
        let State { cause, epoch, .. } = slot.state();
        if cause.is_some() || slot.since() > at || self.members().into_iter().any(has_served) {
            return None;
        }
        let pass = Pass { epoch, ..Pass::default() };
        Some(self.cool_down(pass, Cause::of(fault), fault.wait(), now)?.0)
    }

    /// Whether any of the keys served a request within the last 60 s.
    fn is_proven(&self, now: u64) -> bool {
        self.members().into_iter().any(|key| self.set.keys[key].served.is_recent(now))
    }

    /// Whether a key beside these stays usable without a probe, for every model that it concerns.
    fn leaves_a_key(&self, now: u64) -> bool {
        let models = if self.level.is_model() { Vec::new() } else { self.set.models.all() };
        self.leaves_one_for(self.lane.as_deref(), now)
            && models.iter().all(|lane| self.leaves_one_for(Some(lane), now))
    }

    fn leaves_one_for(&self, lane: Option<&ModelLane>, now: u64) -> bool {
        let members = self.members();
        let place = |key: usize| Place::new(&self.set, lane, key);
        let is_lost = |key: &usize| place(*key).is_open(now);
        let mut others = (0..self.set.keys.len()).filter(|key| !members.contains(key));
        others.any(|key| place(key).is_sound(now)) || !members.iter().any(is_lost)
    }
}

// === impl Place ===

impl Place<'_> {
    /// Whether the key is usable, and nothing is held against it.
    fn is_sound(self, now: u64) -> bool {
        let is_free = |level: Level| self.state(level).cause.is_none();
        self.is_open(now) && Level::ALL.into_iter().all(is_free)
    }
}

// === impl KeySet ===

impl KeySet {
    pub(super) fn doubts(&self) -> MutexGuard<'_, FirstRefusals> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys of an account, of which `asker` is one.
    fn members(&self, account: usize, asker: usize) -> Vec<usize> {
        self.accounts[account].with_members(asker, |groups| {
            let of_word = |&(word, bits): &(usize, u64)| {
                let bit = move |bit: &usize| bits >> bit & 1 == 1;
                (0..u64::BITS as usize).filter(bit).map(move |bit| word * u64::BITS as usize + bit)
            };
            groups.iter().flat_map(of_word).collect()
        })
    }
}
