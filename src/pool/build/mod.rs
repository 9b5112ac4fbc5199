//! Building a pool.

mod accounts;
mod assemble;
pub(in crate::pool) mod builder;
pub(in crate::pool) mod error;
pub(in crate::pool) mod successor;
