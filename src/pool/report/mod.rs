//! Snapshots, metrics and events of a pool.

mod debug;
pub(in crate::pool) mod drained;
pub(in crate::pool) mod limits;
#[cfg(feature = "metrics")]
pub(in crate::pool) mod metrics;
pub(in crate::pool) mod outage;
pub(in crate::pool) mod snapshot;
pub(in crate::pool) mod unreadable;
