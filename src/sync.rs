//! The atomics of the concurrent core, in one place so that a model checker can put its own here.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
