//! The library's sources under test.
#![allow(dead_code, reason = "the pool uses all of it")]

#[path = "../../../src/pool/lane.rs"]
pub(crate) mod lane;
#[path = "../../../src/pool/ramp.rs"]
pub(crate) mod ramp;
#[path = "../../../src/pool/slot.rs"]
pub(crate) mod slot;
#[path = "../../../src/pool/state.rs"]
pub(crate) mod state;
