//! Building a pool.

pub(in crate::pool) mod builder;
pub(in crate::pool) mod error;
