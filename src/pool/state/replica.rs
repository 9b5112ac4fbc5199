//! The replica: the registers of a pool, as exported or merged last.

use std::collections::BTreeMap;
#[cfg(feature = "redis")]
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use crate::clock::{Timestamp, WallOffset};
use crate::limits::GaugeName;
use crate::pool::keys::key_set::KeySet;
use crate::pool::state::field::{Field, Instance};
use crate::pool::state::owner::Owner;
use crate::pool::state::present::Present;
use crate::pool::state::register::Register;
use crate::provider::ModelId;

/// The registers of a pool.
pub(in crate::pool) struct Replica {
    pub(in crate::pool) known: BTreeMap<Field, Register>,
    /// The fields that have changed since they were last taken. `None` means all.
    #[cfg(feature = "redis")]
    changed: Option<BTreeSet<Field>>,
    /// The id under which this pool counts.
    pub(in crate::pool) instance: Instance,
    pub(in crate::pool) clock: WallOffset,
    /// The clock of the store, as the wall clock saw it at the first reading; `None` before.
    #[cfg(feature = "redis")]
    pub(in crate::pool) store_clock: Option<WallOffset>,
    /// The time of its creation, by the wall clock.
    pub(in crate::pool) born: u64,
    /// The names of the present keys and accounts, and the set that has them.
    present: Option<(Weak<KeySet>, Arc<Present>)>,
    /// Whether there is a reset by an operator among the registers. Otherwise no look at a count searches for one.
    has_resets: bool,
    /// The hour in which the present owners were noted last; `None` if there are others now.
    pub(in crate::pool) noted_in: Option<u64>,
    /// The minute in which registers of no use were forgotten last; `None` if some were merged since.
    pub(in crate::pool) pruned_in: Option<u64>,
    /// Whether registers were forgotten then for want of room.
    pub(in crate::pool) is_full: bool,
}

// === impl Replica ===

impl Replica {
    /// Returns the names of the present keys and accounts, and the address of the set that has them.
    pub(in crate::pool) fn present(&self) -> Option<(*const KeySet, Arc<Present>)> {
        self.present.as_ref().map(|(set, present)| (Weak::as_ptr(set), Arc::clone(present)))
    }

    pub(in crate::pool) fn set_present(&mut self, set: &Arc<KeySet>, present: &Arc<Present>) {
        // The weak pointer keeps the address from being given to another set.
        self.present = Some((Arc::downgrade(set), Arc::clone(present)));
        (self.noted_in, self.pruned_in) = (None, None);
    }

    pub(in crate::pool) fn get(&self, field: &Field) -> Register {
        self.known.get(field).copied().unwrap_or_default()
    }

    /// Merges a register. Returns the register before, if the given one is larger.
    pub(in crate::pool) fn raise(&mut self, field: &Field, register: Register) -> Option<Register> {
        let before = self.get(field);
        if register <= before {
            return None;
        }
        self.known.insert(field.clone(), register);
        self.has_resets |= matches!(field, Field::Reset { .. } | Field::Recount { .. });
        #[cfg(feature = "redis")]
        if let Some(changed) = &mut self.changed {
            changed.insert(field.clone());
        }
        Some(before)
    }

    /// Returns the time of the last reset of an owner.
    pub(in crate::pool) fn reset_of(&self, owner: &Owner) -> u64 {
        if !self.has_resets {
            return 0;
        }
        self.get(&Field::Reset { owner: owner.clone() }).0[0]
    }

    /// Returns the time of the last reset of the counts of an owner for a model.
    pub(in crate::pool) fn recount_of(&self, owner: &Owner, model: Option<&ModelId>) -> u64 {
        if !self.has_resets {
            return 0;
        }
        let of = |model: Option<&ModelId>| {
            self.get(&Field::Recount { owner: owner.clone(), model: model.cloned() }).0[0]
        };
        self.reset_of(owner).max(of(None)).max(if model.is_some() { of(model) } else { 0 })
    }

    /// Returns the counts of a limit by all processes.
    pub(in crate::pool) fn counts(
        &self,
        owner: &Owner,
        model: Option<&ModelId>,
        gauge: GaugeName,
    ) -> impl Iterator<Item = (Instance, Register)> {
        let field = |instance| {
            let (owner, model) = (owner.clone(), model.cloned());
            Field::Count { owner, model, gauge, instance: Instance(instance) }
        };
        self.known.range(field(0)..=field(u64::MAX)).filter_map(|(field, register)| match field {
            Field::Count { instance, .. } => Some((*instance, *register)),
            _ => None,
        })
    }

    /// Follows a step of the wall clock or a sleep of the machine. With the clock of a store, that clock tells of a sleep,
    /// and a step of this machine's wall clock changes nothing: see [`stored`](crate::pool::stored).
    pub(in crate::pool) fn follow_clock(&mut self) {
        #[cfg(feature = "redis")]
        if self.store_clock.is_some() {
            return;
        }
        self.clock.follow();
    }

    /// Raises the first number of a register: to the time now, or by one if it is later than that.
    pub(in crate::pool) fn stamp(&mut self, field: &Field, now: Timestamp, [second, third]: [u64; 2]) {
        self.follow_clock();
        let after = self.get(field).0[0].saturating_add(1);
        let stamp = self.clock.to_wall(now.as_unix_ms()).max(after);
        self.raise(field, Register([stamp, second, third, 0, 0]));
    }
}

#[cfg(feature = "redis")]
impl Replica {
    /// Returns the registers that have changed since the last call. The first call returns all.
    pub(in crate::pool) fn take_changed(&mut self) -> Vec<(Field, Register)> {
        let changed = self.changed.replace(BTreeSet::new());
        let register = |field: Field| self.known.get(&field).copied().map(|register| (field, register));
        match changed {
            Some(changed) => changed.into_iter().filter_map(register).collect(),
            None => self.known.iter().map(|(field, register)| (field.clone(), *register)).collect(),
        }
    }

    /// Takes a field off the changed ones, because the store has its register.
    pub(in crate::pool) fn is_stored(&mut self, field: &Field) {
        if let Some(changed) = &mut self.changed {
            changed.remove(field);
        }
    }

    /// Adds the fields to the changed ones whose registers a store does not have.
    pub(in crate::pool) fn resend_lost(&mut self, stored: &BTreeMap<Field, Register>) {
        if let Some(changed) = &mut self.changed {
            let lost = self.known.iter().filter(|(field, register)| stored.get(*field) < Some(*register));
            changed.extend(lost.map(|(field, _)| field.clone()));
        }
    }

    /// Lets the next call of [`take_changed`](Self::take_changed) return all registers.
    pub(in crate::pool) fn resend(&mut self) {
        self.changed = None;
    }
}

impl Default for Replica {
    fn default() -> Self {
        let mut clock = WallOffset::default();
        clock.follow();
        Self {
            known: BTreeMap::new(),
            #[cfg(feature = "redis")]
            changed: None,
            instance: Instance(fastrand::u64(1..)),
            clock,
            #[cfg(feature = "redis")]
            store_clock: None,
            born: clock.to_wall(Timestamp::now().as_unix_ms()),
            present: None,
            has_resets: false,
            noted_in: None,
            pruned_in: None,
            is_full: false,
        }
    }
}
