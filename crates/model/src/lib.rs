//! The lock-free core of the pool under a model checker.
//!
//! A test with threads sees one order of events in a run, and the order that loses a key may need a thread
//! to sleep between two instructions. [loom] runs a small scenario in every order that the memory model
//! allows. The sources are those of the crate itself: `slot.rs` and `lane.rs` are included by path, and
//! find loom's atomics under the name `crate::sync`.
//!
//! This is a crate of its own, so that neither loom nor its `cfg` is seen by the crate or its
//! dependencies. Run it with
//!
//! ```sh
//! cargo test -p tower-key-rotation-model --release
//! ```
#![cfg(test)]

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

mod lanes;
mod pool;
mod slots;
