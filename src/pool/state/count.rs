//! Counts of declared limits: the own ones, and those of other processes.

use crate::clock::{Moment, Timestamp};
use crate::limits::{GaugeName, Ledger, OthersTook, SharedCount};
use crate::pool::keys::candidate::Candidate;
use crate::pool::scope::level::Level;
use crate::pool::state::field::{Field, Instance};
use crate::pool::state::owner::Owner;
use crate::pool::state::present::Present;
use crate::pool::state::register::{Register, SavedCount};
use crate::pool::state::replica::Replica;
use crate::provider::ModelId;

/// A scope with known limits.
pub(in crate::pool) struct CountedScope<'a> {
    pub(in crate::pool) candidate: Candidate<'a>,
    pub(in crate::pool) level: Level,
    pub(in crate::pool) owner: Owner,
    pub(in crate::pool) ledger: &'a Ledger,
    pub(in crate::pool) present: &'a Present,
}

// === impl CountedScope ===

impl CountedScope<'_> {
    /// Returns the model under whose name the limits are counted.
    fn model(&self) -> Option<ModelId> {
        let model = self.candidate.model_at(self.level)?;
        Some(model.as_str().to_ascii_lowercase().into())
    }

    fn took(&self, gauge: &GaugeName, took: OthersTook, now: Moment) {
        if self.ledger.others_took(gauge, took, now) {
            self.candidate.sync(self.level, now.as_unix_ms());
            self.candidate.set.common.released.tell();
        }
    }
}

/// Records the own count of a limit, and counts what others have taken of its window.
pub(in crate::pool) fn observe(
    replica: &mut Replica,
    scope: &CountedScope<'_>,
    count: &SharedCount,
    now: Moment,
) {
    let (clock, model) = (replica.clock, scope.model());
    let generation = replica.recount_of(&scope.owner, model.as_ref());
    let ends = count.ends.map_or(0, |ends| clock.to_wall(ends.as_unix_ms()));
    let full_at = clock.to_wall(count.full_at.as_unix_ms());
    let instance = replica.instance;
    let field = Field::Count { owner: scope.owner.clone(), model, gauge: count.name, instance };
    let known = SavedCount::from(replica.get(&field));
    let is_new = (generation, ends) > (known.generation, known.ends);
    let is_same = (generation, ends) == (known.generation, known.ends);
    if (is_new && count.own > 0) || (is_same && count.own != known.used) {
        let saved = SavedCount { generation, ends, version: known.version + 1, used: count.own, full_at };
        replica.raise(&field, saved.into());
    }
    if count.ends.is_some() {
        let others = taken_by_others(replica, scope, count);
        if others != count.others {
            scope.took(&count.name, OthersTook::Within(others), now);
        }
    }
}

/// Counts news of another process.
pub(in crate::pool) fn adopt(
    replica: &Replica,
    scope: &CountedScope<'_>,
    gauge: &GaugeName,
    (before, after): (Register, Register),
    now: Moment,
) {
    let (before, after) = (SavedCount::from(before), SavedCount::from(after));
    if gauge.resets() {
        let counts = scope.ledger.shared(now).counts;
        if let Some(count) = counts.iter().find(|count| count.name == *gauge) {
            let others = taken_by_others(replica, scope, count);
            scope.took(gauge, OthersTook::Within(others), now);
        }
        return;
    }
    if after.generation < replica.recount_of(&scope.owner, scope.model().as_ref()) {
        return;
    }
    let took = if before.version == 0 || before.generation != after.generation {
        // The part of the whole count that is still missing in the bucket is unknown, but not when it is full.
        let full_at = Timestamp::from_unix_ms(replica.clock.local(after.full_at));
        OthersTook::Until(full_at.into())
    } else {
        OthersTook::More((after.used as u32).wrapping_sub(before.used as u32).cast_signed())
    };
    scope.took(gauge, took, now);
}

/// Returns the amount that other processes have taken within the window of a limit.
fn taken_by_others(replica: &Replica, scope: &CountedScope<'_>, count: &SharedCount) -> u64 {
    let ends = count.ends.map_or(0, |ends| replica.clock.to_wall(ends.as_unix_ms()));
    let window_ms = count.name.window_s().unwrap_or(0).saturating_mul(1_000);
    let model = scope.model();
    let aliases = scope.present.aliases(scope.candidate.set, scope.candidate, scope.level);
    let amounts = aliases.into_iter().map(|owner| {
        let generation = replica.recount_of(&owner, model.as_ref());
        let field = |instance| {
            let (owner, model) = (owner.clone(), model.clone());
            Field::Count { owner, model, gauge: count.name, instance: Instance(instance) }
        };
        let all = replica.known.range(field(0)..=field(u64::MAX));
        let others = all.filter(|(known, _)| **known != field(replica.instance.0));
        let counts = others.map(|(_, register)| SavedCount::from(*register));
        // The clocks of two processes are never quite the same, so the ends of one window differ.
        let counts = counts.filter(|saved| {
            saved.generation >= generation && saved.ends.abs_diff(ends).saturating_mul(2) < window_ms
        });
        counts.fold(0, |sum: u64, saved| sum.saturating_add(saved.used))
    });
    amounts.fold(0, u64::saturating_add)
}
