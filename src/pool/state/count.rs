//! Counts of declared limits: the own ones, and those of other processes.

use crate::clock::{Moment, Timestamp};
use crate::limits::{GaugeName, Ledger, OthersTook, SharedCount};
use crate::pool::keys::candidate::Candidate;
use crate::pool::scope::level::Level;
use crate::pool::state::field::Field;
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
    let (known, others) = known(replica, scope, count);
    let is_new = (generation, ends) > (known.generation, known.ends);
    let is_same = (generation, ends) == (known.generation, known.ends);
    if (is_new && count.own > 0) || (is_same && count.own != known.used) {
        let saved = SavedCount { generation, ends, version: known.version + 1, used: count.own, full_at };
        let (owner, instance) = (scope.owner.clone(), replica.instance);
        replica.raise(&Field::Count { owner, model, gauge: count.name, instance }, saved.into());
    }
    if count.ends.is_some() && others != count.others {
        scope.took(&count.name, OthersTook::Within(others), now);
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
            let (_own, others) = known(replica, scope, count);
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

/// Returns the own count of a limit as it is known, and the amount that other processes have taken within its window.
fn known(replica: &Replica, scope: &CountedScope<'_>, count: &SharedCount) -> (SavedCount, u64) {
    let ends = count.ends.map_or(0, |ends| replica.clock.to_wall(ends.as_unix_ms()));
    let window_ms = count.name.window_s().unwrap_or(0).saturating_mul(1_000);
    let model = scope.model();
    let (mut own, mut others) = (SavedCount::default(), 0_u64);
    for owner in scope.present.aliases(scope.candidate.set, scope.candidate, scope.level) {
        let generation = replica.recount_of(&owner, model.as_ref());
        for (instance, register) in replica.counts(&owner, model.as_ref(), count.name) {
            let saved = SavedCount::from(register);
            // The clocks of two processes are never quite the same, so the ends of one window differ.
            let is_same_window = saved.ends.abs_diff(ends).saturating_mul(2) < window_ms;
            if instance != replica.instance && saved.generation >= generation && is_same_window {
                others = others.saturating_add(saved.used);
            } else if instance == replica.instance && owner == scope.owner {
                own = saved;
            }
        }
    }
    (own, others)
}
