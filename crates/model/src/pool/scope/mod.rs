//! The sources under test.
#![allow(dead_code, reason = "the pool uses all of it")]

#[path = "../../../../../src/pool/scope/growing.rs"]
pub(crate) mod growing;
#[path = "../../../../../src/pool/scope/ready_bits.rs"]
pub(crate) mod ready_bits;
#[path = "../../../../../src/pool/scope/slot.rs"]
pub(crate) mod slot;
#[path = "../../../../../src/pool/scope/slow_start.rs"]
pub(crate) mod slow_start;
#[path = "../../../../../src/pool/scope/state.rs"]
pub(crate) mod state;
