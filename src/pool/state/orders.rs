//! The orders of operators at other processes: resets, switches, and forced cooldowns.
//!
//! An order from the time before the pool existed is carried out without an event, because its event was emitted
//! then.

use crate::clock::Timestamp;
use crate::event::{OperatorEvent, Severity};
use crate::key::KeyId;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::refresh::new_model_state;
use crate::pool::report::drained::left;
use crate::pool::scope::level::Level;
use crate::pool::state::adoption::Adoption;
use crate::pool::state::field::Field;
use crate::pool::state::owner::{KeyDigest, Owner};
use crate::pool::state::register::{Register, SavedOrder};
use crate::provider::ModelId;

/// The orders that were carried out and have to be announced, in their order.
#[derive(Default)]
#[must_use = "the events are emitted by `announce`"]
pub(in crate::pool) struct Orders {
    events: Vec<OperatorEvent>,
    /// The numbers of the keys whose last request is to be announced.
    draining: Vec<usize>,
}

// === impl Orders ===

impl Orders {
    /// Ends the cooldowns that began before an operator's reset, and forgets limits.
    pub(super) fn reset(&mut self, it: &Adoption<'_>, owner: &Owner, Register([generation, ..]): Register) {
        let now = it.now.as_unix_ms();
        let at = it.replica.clock.local(generation);
        it.each_scope(owner, None, |candidate, level| {
            if let Some(slot) = candidate.slot(level).filter(|slot| slot.since() <= at) {
                slot.reset(now);
                force_again(it, owner, candidate, level);
            }
            if let Some(ledger) = candidate.ledger(level) {
                ledger.forget();
                ledger.recount(it.now);
            }
            candidate.sync(level, now);
        });
        self.tell(it, owner, generation, |key| OperatorEvent::Reset { key: Some(key) });
    }

    pub(super) fn recount(
        &mut self,
        it: &Adoption<'_>,
        owner: &Owner,
        model: Option<&ModelId>,
        Register([generation, ..]): Register,
    ) {
        it.each_scope(owner, model, |candidate, level| {
            if let Some(ledger) = candidate.ledger(level) {
                ledger.recount(it.now);
                candidate.sync(level, it.now.as_unix_ms());
            }
        });
        self.tell(it, owner, generation, |key| OperatorEvent::QuotaReset { key, model: model.cloned() });
    }

    pub(super) fn switch(&mut self, it: &Adoption<'_>, key: KeyDigest, register: Register) {
        let (owner, Register([generation, since, drains, ..])) = (Owner::Key(key), register);
        let Some(number) = it.present.key(&owner) else { return };
        let (candidate, is_disabled) = (Candidate::new(it.set, None, number), since != 0);
        candidate.key().set_disabled(is_disabled, it.replica.clock.local(since));
        candidate.sync(Level::Key, it.now.as_unix_ms());
        if is_disabled {
            self.tell(it, &owner, generation, |key| OperatorEvent::Disabled { key });
        } else {
            self.tell(it, &owner, generation, |key| OperatorEvent::Enabled { key });
        }
        if is_disabled && drains != 0 && is_news(it, generation) {
            candidate.key().drain();
            self.draining.push(number);
        }
    }

    pub(super) fn force(
        &mut self,
        it: &Adoption<'_>,
        key: KeyDigest,
        model: Option<&ModelId>,
        register: Register,
    ) {
        let (owner, order, now) = (Owner::Key(key), SavedOrder::from(register), it.now.as_unix_ms());
        let wall = it.replica.clock.to_wall(now);
        if it.present.key(&owner).is_none() || !order.holds(it.replica.reset_of(&owner), wall) {
            return;
        }
        let lane = model.map(|model| new_model_state(it.set, model, it.now.into()));
        if let Some((candidate, level)) = it.scope(&owner, model, lane.as_deref()) {
            force_again(it, &owner, candidate, level);
            candidate.sync(level, now);
        }
        let wait = Timestamp::from_unix_ms(order.until).saturating_since(Timestamp::from_unix_ms(wall));
        self.tell(it, &owner, order.since, |key| OperatorEvent::ForcedCooldown {
            key,
            model: model.cloned(),
            wait,
        });
    }

    /// Emits the events. The caller holds no lock.
    pub(in crate::pool) fn announce(self, set: &KeySet) {
        for event in self.events {
            set.common.emit(Severity::Change, || event.into());
        }
        self.draining.iter().for_each(|key| left(&set.common, &set.keys[*key]));
    }

    /// Adds an event, if an order concerns a key and is newer than the pool. The account of the key has a register
    /// of its own.
    fn tell(&mut self, it: &Adoption<'_>, owner: &Owner, at: u64, kind: impl FnOnce(KeyId) -> OperatorEvent) {
        if let (Owner::Key(_), Some(key), true) = (owner, it.present.key(owner), is_news(it, at)) {
            self.events.push(kind(it.set.keys[key].id.clone()));
        }
    }
}

/// Puts a scope into the cooldown that an operator has ordered for it, if the order holds still. Call it after every
/// change that may have ended it.
pub(super) fn force_again(it: &Adoption<'_>, owner: &Owner, candidate: Candidate<'_>, level: Level) {
    let Owner::Key(key) = owner else { return };
    let field = Field::Forced { key: *key, model: candidate.model_at(level) };
    let (clock, order) = (it.replica.clock, SavedOrder::from(it.replica.get(&field)));
    if let Some(slot) = candidate.slot(level)
        && order.holds(it.replica.reset_of(owner), clock.to_wall(it.now.as_unix_ms()))
    {
        slot.force(clock.local(order.until), clock.local(order.since));
    }
}

/// Returns whether an order was given after the pool was created.
const fn is_news(it: &Adoption<'_>, at: u64) -> bool {
    at > it.replica.born
}
