//! The times of registers by the clock of a store that several machines share.

use crate::clock::WallOffset;
use crate::pool::scope::slot::FOREVER;
use crate::pool::state::field::Field;
use crate::pool::state::register::Register;

/// The numbers of registers that are times.
const TIMES: [&str; 6] = ["at", "ends", "full_at", "generation", "since", "until"];

/// Returns a register with its times by the clock of the store.
pub(in crate::pool) fn to_store(clock: WallOffset, field: &Field, register: Register) -> Register {
    moved(field, register, |time| clock.to_wall(time))
}

/// Returns a register of the store with its times by the wall clock.
pub(in crate::pool) fn from_store(clock: WallOffset, field: &Field, register: Register) -> Register {
    moved(field, register, |time| clock.local(time))
}

/// Zero and the end of a cooldown without an end are no times.
fn moved(field: &Field, Register(mut numbers): Register, change: impl Fn(u64) -> u64) -> Register {
    for (name, number) in field.names().iter().zip(&mut numbers) {
        if TIMES.contains(name) && (1..FOREVER - 1).contains(number) {
            *number = change(*number).clamp(1, FOREVER - 2);
        }
    }
    Register(numbers)
}
