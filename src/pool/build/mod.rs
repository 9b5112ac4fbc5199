//! Building a pool.

mod assemble;
pub(in crate::pool) mod builder;
pub(in crate::pool) mod error;
