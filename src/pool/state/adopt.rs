//! Brings the pool in line with registers from another process or an earlier run.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Moment, Timestamp};
use crate::limits::{GaugeName, Metric, Observed};
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::keys::refresh::{new_model_state, state_of};
use crate::pool::learn::accounts::learn;
use crate::pool::learn::outage as auth_outage;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{FOREVER, State};
use crate::pool::state::count::{self, CountedScope};
use crate::pool::state::field::Field;
use crate::pool::state::owner::{KeyDigest, Owner};
use crate::pool::state::present::{Present, levels};
use crate::pool::state::prune::HOUR_MS;
use crate::pool::state::register::{Register, SavedCooldown};
use crate::pool::state::replica::Replica;
use crate::provider::{AccountFingerprint, Limit, ModelId, Window};

/// A register that was raised.
pub(in crate::pool) struct Raised {
    pub(in crate::pool) field: Field,
    pub(in crate::pool) before: Register,
    pub(in crate::pool) after: Register,
}

/// Returns the names of the keys and accounts that a set has. Known registers are applied to those that the
/// set before did not have.
pub(in crate::pool) fn meet(replica: &mut Replica, set: &Arc<KeySet>, now: Moment) -> Arc<Present> {
    let before = replica.present().map(|(known, present)| (known == Arc::as_ptr(set), present));
    if let Some((true, present)) = before {
        return present;
    }
    let present = Arc::new(Present::of(set));
    replica.set_present(set, &present);
    let is_new = |owner: &Owner| {
        let stayed = before.as_ref().is_some_and(|(_, before)| present.agrees_with(before, owner));
        present.key(owner).is_some() && !stayed
    };
    let known = replica.known.iter().filter(|(field, _)| field.owner().is_some_and(|owner| is_new(&owner)));
    let raised = known.map(|(field, after)| {
        let (field, before, after) = (field.clone(), Register::default(), *after);
        Raised { field, before, after }
    });
    let news = raised.collect();
    adopt(replica, set, &present, news, now);
    present
}

/// Applies registers to the keys and accounts that the pool has.
pub(in crate::pool) fn adopt(
    replica: &Replica,
    set: &KeySet,
    present: &Present,
    mut news: Vec<Raised>,
    now: Moment,
) {
    // Accounts first, because they say whom the rest concerns; then resets, because they end what they find.
    news.sort_by_key(|raised| match raised.field {
        Field::Identity { .. } => 0,
        Field::Reset { .. } | Field::Recount { .. } => 1,
        _ => 2,
    });
    let adoption = Adoption { replica, set, present, now };
    for Raised { field, before, after } in &news {
        adoption.apply(field, *before, *after);
    }
    if !news.is_empty() {
        auth_outage::note(set);
        set.common.released.tell();
    }
}

struct Adoption<'a> {
    replica: &'a Replica,
    set: &'a KeySet,
    present: &'a Present,
    now: Moment,
}

// === impl Adoption ===

impl Adoption<'_> {
    fn apply(&self, field: &Field, before: Register, after: Register) {
        match field {
            Field::Identity { key } => self.identity(*key, after),
            Field::Reset { owner } => self.reset(owner, after),
            Field::Recount { owner, model } => self.recount(owner, model.as_ref()),
            Field::Disabled { key } => self.disabled(*key, after),
            Field::Cooldown { owner, model } => self.cooldown(owner, model.as_ref(), before, after),
            Field::Learned { owner, model, gauge } => self.learned(owner, model.as_ref(), gauge, after),
            Field::Count { owner, model, gauge, instance } if *instance != self.replica.instance => {
                self.count(owner, model.as_ref(), gauge, (before, after));
            }
            Field::Count { .. } | Field::Seen { .. } | Field::Unknown => {}
        }
    }

    fn identity(&self, key: KeyDigest, Register([_, identity, ..]): Register) {
        if let Some(key) = self.present.key(&Owner::Key(key))
            && let Some(identity) = AccountFingerprint::from_u64(identity)
            && self.set.keys[key].account.identity() == 0
        {
            learn(self.set, key, identity);
        }
    }

    /// Ends the cooldowns that began before an operator's reset, and forgets limits.
    fn reset(&self, owner: &Owner, Register([generation, ..]): Register) {
        let now = self.now.as_unix_ms();
        let at = self.replica.clock.local(generation);
        self.each_scope(owner, None, |candidate, level| {
            if let Some(slot) = candidate.slot(level).filter(|slot| slot.since() <= at) {
                slot.reset(now);
            }
            if let Some(ledger) = candidate.ledger(level) {
                ledger.forget();
                ledger.recount(self.now);
            }
            candidate.sync(level, now);
        });
    }

    fn recount(&self, owner: &Owner, model: Option<&ModelId>) {
        self.each_scope(owner, model, |candidate, level| {
            if let Some(ledger) = candidate.ledger(level) {
                ledger.recount(self.now);
                candidate.sync(level, self.now.as_unix_ms());
            }
        });
    }

    fn disabled(&self, key: KeyDigest, Register([_, since, ..]): Register) {
        if let Some(key) = self.present.key(&Owner::Key(key)) {
            let candidate = Candidate::new(self.set, None, key);
            candidate.key().set_disabled(since != 0, self.replica.clock.local(since));
            candidate.sync(Level::Key, self.now.as_unix_ms());
        }
    }

    fn cooldown(&self, owner: &Owner, model: Option<&ModelId>, before: Register, after: Register) {
        let (before, after) = (SavedCooldown::from(before), SavedCooldown::from(after));
        let (clock, now) = (self.replica.clock, self.now.as_unix_ms());
        let wall = clock.to_wall(now);
        if after.generation < self.replica.reset_of(owner) {
            return;
        }
        let is_on = after.is_on(wall);
        let lane = match model {
            Some(model) if is_on => Some(new_model_state(self.set, model, self.now.into())),
            Some(model) => self.set.common.models.get(model),
            None => None,
        };
        let Some((candidate, level)) = self.scope(owner, model, lane.as_deref()) else { return };
        let Some(slot) = candidate.slot(level) else { return };
        // A cooldown that began here after the early end that is news now stays.
        let is_older = slot.since() <= clock.local(after.generation);
        if before.generation < after.generation && is_older && slot.state().cause.is_some() {
            slot.reset(now);
        }
        let is_unknown = slot.state().epoch == 0 && after.is_on(wall.saturating_sub(HOUR_MS));
        if is_on || is_unknown {
            let until = if after.until == FOREVER { FOREVER } else { clock.local(after.until) };
            let State { probing, epoch, .. } = State::default();
            let state = State { until, cause: after.cause, strikes: after.strikes, probing, epoch };
            slot.adopt(state, clock.local(after.since));
        }
        candidate.sync(level, now);
    }

    fn learned(&self, owner: &Owner, model: Option<&ModelId>, gauge: &GaugeName, register: Register) {
        let Register([at, limit, remaining, full_at, _]) = register;
        let clock = self.replica.clock;
        let (at, full_at) = (clock.local(at), clock.local(full_at));
        let Metric::Of(dimension) = gauge.metric else { return };
        if full_at <= self.now.as_unix_ms() || full_at <= at {
            return;
        }
        let lane = model.map(|model| new_model_state(self.set, model, self.now.into()));
        let Some((candidate, level)) = self.scope(owner, model, lane.as_deref()) else { return };
        let mut reported = Limit::new(dimension);
        (reported.limit, reported.remaining) = (Some(limit), Some(remaining));
        reported.window = gauge.window_s().map(Window::from_secs);
        reported.reset = Some(Duration::from_millis(full_at - at));
        let at = Moment::from(Timestamp::from_unix_ms(at));
        let resets_mean_full = !gauge.resets();
        let limits = &[reported];
        let observed = Observed { limits, resets_mean_full, admitted: true, sent: at, answered: at };
        candidate.learning().observe(None, &observed, &[], |_| {});
        self.set.common.saw_limits(limits);
        candidate.sync(level, self.now.as_unix_ms());
    }

    fn count(&self, owner: &Owner, model: Option<&ModelId>, gauge: &GaugeName, change: (Register, Register)) {
        let lane = model.and_then(|model| state_of(self.set, model, self.now.into()));
        let Some((candidate, level)) = self.scope(owner, model, lane.as_deref()) else { return };
        if let Some(ledger) = candidate.ledger(level) {
            let owner = owner.clone();
            let scope = CountedScope { candidate, level, owner, ledger, present: self.present };
            count::adopt(self.replica, &scope, gauge, change, self.now);
        }
    }

    /// Returns the scope of an owner, for a model if one is given. `None` if the pool has no such key or lane.
    fn scope<'a>(
        &'a self,
        owner: &Owner,
        model: Option<&ModelId>,
        lane: Option<&'a ModelState>,
    ) -> Option<(Candidate<'a>, Level)> {
        let (of_key, of_model) = levels(owner);
        let level = if model.is_some() { of_model } else { of_key };
        let key = self.present.key(owner)?;
        (model.is_some() == lane.is_some()).then(|| (Candidate::new(self.set, lane, key), level))
    }

    /// Passes the scopes of an owner to `change`: those of one model, or all.
    fn each_scope(&self, owner: &Owner, model: Option<&ModelId>, change: impl Fn(Candidate<'_>, Level)) {
        let Some(key) = self.present.key(owner) else { return };
        let (of_key, of_model) = levels(owner);
        if model.is_none() {
            change(Candidate::new(self.set, None, key), of_key);
        }
        for lane in self.set.common.models.all() {
            let is_meant = |model: &ModelId| model.as_str().eq_ignore_ascii_case(lane.model.as_str());
            if model.is_none_or(is_meant) {
                change(Candidate::new(self.set, Some(&lane), key), of_model);
            }
        }
    }
}
