//! The atomics of the lock-free core. They have a module of their own so that a model checker can replace
//! them.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
