//! The state of a pool as a store has it that several machines share: its registers, with times by its own clock.
//!
//! Registers have times of the wall clock. The first reading of the store's clock fixes the distance of the two. From then
//! on the wall clock of the pool is that of the store at this distance, so a wall clock that is set later moves no time.

use std::collections::BTreeMap;

use crate::clock::{Moment, WallOffset};
use crate::pool::KeyPool;
use crate::pool::share::{locked, look, merge_registers, refresh};
use crate::pool::state::field::Field;
use crate::pool::state::prune::is_of_use;
use crate::pool::state::register::Register;
use crate::pool::state::replica::Replica;
use crate::pool::state::store_time::{from_store, to_store};

/// See [`KeyPool::follow_store_clock`].
pub(in crate::pool) fn follow_clock(pool: &KeyPool, time: u64) {
    let replica = &mut *locked(pool);
    let now = Moment::now().as_unix_ms();
    if let Some(store) = replica.store_clock {
        replica.clock.follow_to(now, store.local(time));
        return;
    }
    replica.clock.follow();
    let mut store = WallOffset::default();
    store.follow_to(replica.clock.to_wall(now), time);
    replica.store_clock = Some(store);
}

/// See [`KeyPool::merge_stored`].
pub(in crate::pool) fn merge(pool: &KeyPool, registers: impl IntoIterator<Item = (Field, Register)>) {
    let clock = locked(pool).store_clock.unwrap_or_default();
    let registers = registers.into_iter().map(|(field, register)| {
        let register = from_store(clock, &field, register);
        (field, register)
    });
    merge_registers(pool, registers, Replica::is_stored);
}

/// See [`KeyPool::changed_registers`].
pub(in crate::pool) fn changed(pool: &KeyPool) -> Vec<(Field, Register)> {
    let set = pool.0.set.load_full();
    let replica = &mut *locked(pool);
    look(replica, &set, Moment::now());
    let (mut changed, clock) = (replica.take_changed(), replica.store_clock.unwrap_or_default());
    changed.iter_mut().for_each(|(field, register)| *register = to_store(clock, field, *register));
    changed
}

/// See [`KeyPool::resend_lost`].
pub(in crate::pool) fn resend_lost(pool: &KeyPool, stored: Vec<(Field, Register)>) {
    let replica = &mut *locked(pool);
    let clock = replica.store_clock.unwrap_or_default();
    let stored: BTreeMap<_, _> = stored
        .into_iter()
        .map(|(field, register)| {
            let register = from_store(clock, &field, register);
            (field, register)
        })
        .collect();
    replica.resend_lost(&stored);
}

/// See [`KeyPool::useless`].
pub(in crate::pool) fn useless(
    pool: &KeyPool,
    mut registers: Vec<(Field, Register)>,
) -> Vec<(Field, Register)> {
    let set = pool.0.set.load_full();
    let replica = &mut *locked(pool);
    let (now, clock) = (refresh(replica, &set), replica.store_clock.unwrap_or_default());
    // A register for which this pool has no room may be of use to others.
    let is_kept_by_others = |field: &Field, register: Register| {
        replica.is_full && is_of_use(field, from_store(clock, field, register), now)
    };
    registers.retain(|(field, register)| {
        !replica.known.contains_key(field) && !is_kept_by_others(field, *register)
    });
    registers
}
