//! Brings the registers in line with the pool.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::clock::{Moment, Timestamp};
use crate::limits::SharedLimit;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, FOREVER, Slot};
use crate::pool::state::count;
use crate::pool::state::field::Field;
use crate::pool::state::owner::Owner;
use crate::pool::state::present::Present;
use crate::pool::state::register::{Register, SavedCooldown, SavedOrder};
use crate::pool::state::replica::Replica;
use crate::provider::ModelId;

/// Records the present state of a pool.
pub(in crate::pool) fn observe(replica: &mut Replica, set: &KeySet, present: &Present, now: Moment) {
    let models = set.common.models.all();
    let grouped = grouped(&models);
    let lanes = std::iter::once(None).chain(models.iter().map(|model| Some(&**model)));
    for lane in lanes {
        let counts = lane.is_none_or(|lane| !grouped.contains(&Arc::as_ptr(&lane.ledgers)));
        let levels = if lane.is_some() { Level::OF_MODEL } else { Level::OF_KEY };
        let mut accounts = HashSet::new();
        for &(key, _) in &present.keys {
            let candidate = Candidate::new(set, lane, key);
            let is_first = accounts.insert(candidate.account);
            for level in levels.into_iter().filter(|level| is_first || !Level::OF_ACCOUNT.contains(level)) {
                let Some(owner) = present.owner(candidate, level) else { continue };
                observe_scope(replica, candidate, level, &owner, now);
                if counts && let Some(ledger) = candidate.ledger(level) {
                    let state = ledger.shared(now);
                    let scope = count::CountedScope { candidate, level, owner, ledger, present };
                    state.counts.iter().for_each(|it| count::observe(replica, &scope, it, now));
                    state.learned.iter().for_each(|it| learned(replica, &scope, it, now));
                }
            }
        }
    }
    for &(key, digest) in &present.keys {
        identity(replica, Field::Identity { key: digest }, set.keys[key].account.identity(), now);
    }
}

/// Returns the limits that models of several names share. Which names these are differs between processes.
fn grouped(models: &[Arc<ModelState>]) -> HashSet<*const crate::pool::keys::model_counters::ModelLedgers> {
    let (mut names, mut grouped) = (HashMap::new(), HashSet::new());
    for model in models {
        let (ledgers, name) = (Arc::as_ptr(&model.ledgers), model.model.as_str().to_ascii_lowercase());
        if *names.entry(ledgers).or_insert_with(|| name.clone()) != name {
            grouped.insert(ledgers);
        }
    }
    grouped
}

fn observe_scope(replica: &mut Replica, candidate: Candidate<'_>, level: Level, owner: &Owner, now: Moment) {
    let Some(slot) = candidate.slot(level) else { return };
    let state = slot.state();
    if state.cause == Some(Cause::Forced) {
        forced(replica, candidate.model_at(level), owner, slot, now);
    } else if state.cause.is_some() || state.epoch != 0 {
        let field = Field::Cooldown { owner: owner.clone(), model: candidate.model_at(level) };
        cooldown(replica, field, owner, slot, now);
    }
}

/// Records a forced cooldown again, if another order or a reset from before it has replaced it on the way.
fn forced(replica: &mut Replica, model: Option<ModelId>, owner: &Owner, slot: &Slot, now: Moment) {
    let Owner::Key(key) = owner else { return };
    let (clock, reset) = (replica.clock, replica.reset_of(owner));
    let (until, wall) = (clock.to_wall(slot.state().until), clock.to_wall(now.as_unix_ms()));
    let field = Field::Forced { key: *key, model };
    let known = SavedOrder::from(replica.get(&field));
    if until > wall && !known.holds(reset, wall) {
        let (generation, since) = (known.generation.max(reset), clock.to_wall(slot.since()));
        replica.raise(&field, SavedOrder { generation, until, since }.into());
    }
}

fn cooldown(replica: &mut Replica, field: Field, owner: &Owner, slot: &Slot, now: Moment) {
    let (clock, reset, state) = (replica.clock, replica.reset_of(owner), slot.state());
    let (known, now) = (SavedCooldown::from(replica.get(&field)), clock.to_wall(now.as_unix_ms()));
    let generation = known.generation.max(reset);
    let until = if state.until == FOREVER { FOREVER } else { clock.to_wall(state.until) };
    let cause = state.cause.filter(|cause| *cause != Cause::Paced);
    let is_known = known.generation == generation && known.is_on(now);
    let saved = if is_known && (cause.is_none() || until < known.until) {
        // The cooldown that is known was ended early here, perhaps by the next one.
        SavedCooldown { generation: now.max(generation + 1), ..SavedCooldown::default() }
    } else {
        SavedCooldown { generation, ..known }
    };
    let saved = match cause {
        Some(cause) if until > now => {
            let (strikes, since) = (state.strikes, clock.to_wall(slot.since()));
            SavedCooldown { until, cause: Some(cause), strikes, since, ..saved }
        }
        _ if is_known => saved,
        _ => return,
    };
    replica.raise(&field, saved.into());
}

fn learned(replica: &mut Replica, scope: &count::CountedScope<'_>, limit: &SharedLimit, now: Moment) {
    let SharedLimit { name, at, status } = limit;
    let Some(full_at) = status.full_at else { return };
    let model: Option<ModelId> = scope.candidate.model_at(scope.level);
    let field = Field::Learned { owner: scope.owner.clone(), model, gauge: *name };
    let ([known, .., until, _], clock) = (replica.get(&field).0, replica.clock);
    let wall = |time: Timestamp| clock.to_wall(time.as_unix_ms());
    // A limit without a time may have come from another process, so it is no news while that one is known.
    let at = at.or_else(|| (until <= wall(now.into())).then(|| now.into()));
    if let Some(at) = at.map(wall).filter(|at| *at > known) {
        replica.raise(&field, Register([at, status.limit, status.remaining, wall(full_at), 0]));
    }
}

fn identity(replica: &mut Replica, field: Field, identity: u64, now: Moment) {
    if identity == 0 {
        return;
    }
    let [at, known, ..] = replica.get(&field).0;
    if identity != known {
        let now = replica.clock.to_wall(now.as_unix_ms());
        replica.raise(&field, Register([now.max(at + 1), identity, 0, 0, 0]));
    }
}
