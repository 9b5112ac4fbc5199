//! Brings the pool in line with registers from another process or an earlier run.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Moment, Timestamp};
use crate::limits::{GaugeName, Metric, Observed};
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::refresh::{new_model_state, state_of};
use crate::pool::learn::accounts::learn;
use crate::pool::learn::outage as auth_outage;
use crate::pool::scope::slot::{FOREVER, State};
use crate::pool::state::adoption::{Adoption, Raised};
use crate::pool::state::count::{self, CountedScope};
use crate::pool::state::field::Field;
use crate::pool::state::orders::{Orders, force_again};
use crate::pool::state::owner::{KeyDigest, Owner};
use crate::pool::state::present::Present;
use crate::pool::state::prune::HOUR_MS;
use crate::pool::state::register::{Register, SavedCooldown};
use crate::pool::state::replica::Replica;
use crate::provider::{AccountFingerprint, Limit, ModelId, Window};

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
    // Their events were emitted long ago.
    let _silent = adopt(replica, set, &present, news, now);
    present
}

/// Applies registers to the keys and accounts that the pool has. Returns the orders to announce.
pub(in crate::pool) fn adopt(
    replica: &Replica,
    set: &Arc<KeySet>,
    present: &Present,
    mut news: Vec<Raised>,
    now: Moment,
) -> Orders {
    // Accounts first, because they say whom the rest concerns; then resets, because they end what they find;
    // forced cooldowns last, because they last at least as long as others.
    news.sort_by_key(|raised| match raised.field {
        Field::Identity { .. } => 0,
        Field::Reset { .. } | Field::Recount { .. } => 1,
        Field::Forced { .. } => 3,
        _ => 2,
    });
    let adoption = Adoption { replica, set, present, now };
    let mut orders = Orders::default();
    news.iter().for_each(|raised| apply(&mut orders, &adoption, raised));
    if !news.is_empty() {
        auth_outage::note(set);
        set.common.released.tell();
    }
    orders
}

/// Applies one register.
fn apply(orders: &mut Orders, it: &Adoption<'_>, Raised { field, before, after }: &Raised) {
    let (before, after) = (*before, *after);
    match field {
        Field::Identity { key } => identity(it, *key, after),
        Field::Reset { owner } => orders.reset(it, owner, after),
        Field::Recount { owner, model } => orders.recount(it, owner, model.as_ref(), after),
        Field::Disabled { key } => orders.switch(it, *key, after),
        Field::Forced { key, model } => orders.force(it, *key, model.as_ref(), after),
        Field::Cooldown { owner, model } => cooldown(it, owner, model.as_ref(), before, after),
        Field::Learned { owner, model, gauge } => learned(it, owner, model.as_ref(), gauge, after),
        Field::Count { owner, model, gauge, instance } if *instance != it.replica.instance => {
            count(it, owner, model.as_ref(), gauge, (before, after));
        }
        Field::Count { .. } | Field::Seen { .. } | Field::Unknown => {}
    }
}

fn identity(it: &Adoption<'_>, key: KeyDigest, Register([_, identity, ..]): Register) {
    if let Some(key) = it.present.key(&Owner::Key(key))
        && let Some(identity) = AccountFingerprint::from_u64(identity)
        && it.set.keys[key].account.identity() == 0
    {
        learn(it.set, key, identity);
    }
}

fn cooldown(it: &Adoption<'_>, owner: &Owner, model: Option<&ModelId>, before: Register, after: Register) {
    let (before, after) = (SavedCooldown::from(before), SavedCooldown::from(after));
    let (clock, now) = (it.replica.clock, it.now.as_unix_ms());
    let wall = clock.to_wall(now);
    if after.generation < it.replica.reset_of(owner) {
        return;
    }
    let is_on = after.is_on(wall);
    let lane = match model {
        Some(model) if is_on => Some(new_model_state(it.set, model, it.now.into())),
        Some(model) => it.set.common.models.get(model),
        None => None,
    };
    let Some((candidate, level)) = it.scope(owner, model, lane.as_deref()) else { return };
    let Some(slot) = candidate.slot(level) else { return };
    // A cooldown that began here after the early end that is news now stays.
    let is_older = slot.since() <= clock.local(after.generation);
    if before.generation < after.generation && is_older && slot.state().cause.is_some() {
        slot.reset(now);
        force_again(it, owner, candidate, level);
    }
    let is_unknown = slot.state().epoch == 0 && after.is_on(wall.saturating_sub(HOUR_MS));
    if is_on || is_unknown {
        let until = if after.until == FOREVER { FOREVER } else { clock.local(after.until) };
        let State { probing, epoch, .. } = State::default();
        let state = State { until, cause: after.cause, strikes: after.strikes, probing, epoch };
        slot.adopt(state, clock.local(after.since), now);
    }
    candidate.sync(level, now);
}

fn learned(it: &Adoption<'_>, owner: &Owner, model: Option<&ModelId>, gauge: &GaugeName, register: Register) {
    let Register([at, limit, remaining, full_at, _]) = register;
    let clock = it.replica.clock;
    let (at, full_at) = (clock.local(at), clock.local(full_at));
    let Metric::Of(dimension) = gauge.metric else { return };
    if full_at <= it.now.as_unix_ms() || full_at <= at {
        return;
    }
    let lane = model.map(|model| new_model_state(it.set, model, it.now.into()));
    let Some((candidate, level)) = it.scope(owner, model, lane.as_deref()) else { return };
    let mut reported = Limit::new(dimension);
    (reported.limit, reported.remaining) = (Some(limit), Some(remaining));
    reported.window = gauge.window_s().map(Window::from_secs);
    reported.reset = Some(Duration::from_millis(full_at - at));
    let at = Moment::from(Timestamp::from_unix_ms(at));
    let resets_mean_full = !gauge.resets();
    let limits = &[reported];
    let observed = Observed { limits, resets_mean_full, admitted: true, sent: at, answered: at };
    candidate.learning().observe(None, &observed, &[], |_| {});
    it.set.common.saw_limits(limits);
    candidate.sync(level, it.now.as_unix_ms());
}

fn count(
    it: &Adoption<'_>,
    owner: &Owner,
    model: Option<&ModelId>,
    gauge: &GaugeName,
    change: (Register, Register),
) {
    let lane = model.and_then(|model| state_of(it.set, model, it.now.into()));
    let Some((candidate, level)) = it.scope(owner, model, lane.as_deref()) else { return };
    if let Some(ledger) = candidate.ledger(level) {
        let owner = owner.clone();
        let scope = CountedScope { candidate, level, owner, ledger, present: it.present };
        count::adopt(it.replica, &scope, gauge, change, it.now);
    }
}
