//! The state of a pool that outlives its process and is shared between processes.
//!
//! Everything worth keeping is a [`Register`](register::Register): a few numbers under the name of a
//! [`Field`](field::Field). Of two registers of one field the larger one counts, number by number from the
//! first. So states may be merged in any order, repeatedly, and incompletely: the result is the same.
//!
//! - The first number of a cooldown is its *generation*. An operator's reset, or a probe that ends a cooldown
//!   early, raises it, so that older cooldowns lose against it, even longer ones.
//! - Each verb of an operator has a register of its own. So a cooldown that an operator has forced stays forced, and
//!   the early end of another cooldown does not end it.
//! - Each process counts requests in registers of its own, under a random id. Only that process raises them,
//!   and other processes add the difference to their own counts, so nothing is counted twice.
//!
//! [`Replica`](replica::Replica) holds the registers that a pool has exported or merged. `observe` brings
//! them in line with the pool, and `adopt` the pool with them. A pool that is never exported or merged has an
//! empty replica, and no request touches it in any case.
//!
//! Times in registers are those of the wall clock, in milliseconds since the Unix epoch. In a store that several
//! machines share they are those of its own clock (`store_time`), so the wall clocks may differ.

#[cfg(test)]
#[cfg(feature = "redis")]
mod clocks;

pub(in crate::pool) mod adopt;
pub(in crate::pool) mod adoption;
pub(in crate::pool) mod count;
pub(in crate::pool) mod document;
pub(in crate::pool) mod field;
pub(in crate::pool) mod observe;
pub(in crate::pool) mod orders;
pub(in crate::pool) mod owner;
pub(in crate::pool) mod present;
pub(in crate::pool) mod prune;
pub(in crate::pool) mod register;
pub(in crate::pool) mod replica;
#[cfg(feature = "redis")]
pub(in crate::pool) mod store_time;
