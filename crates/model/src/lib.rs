//! Model checks of the pool's lock-free core.
//!
//! A test with threads sees one order of events per run. The order that loses a key may need a thread to
//! sleep between two instructions. [loom] runs a small scenario in every order that the memory model allows.
//! The sources are those of the library: `slot.rs` and `ready_bits.rs` are included by path, and use loom's atomics
//! under the name `crate::sync`.
//!
//! This is a crate of its own, so that neither loom nor its `cfg` reaches the library or its dependencies.
//! Run it with
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
