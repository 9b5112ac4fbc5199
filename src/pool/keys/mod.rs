//! The keys of a pool and what is known about each.

pub(in crate::pool) mod account;
pub(in crate::pool) mod candidate;
pub(in crate::pool) mod common;
pub(in crate::pool) mod current;
pub(in crate::pool) mod key;
pub(in crate::pool) mod key_set;
pub(in crate::pool) mod last_check;
pub(in crate::pool) mod model;
pub(in crate::pool) mod model_counters;
pub(in crate::pool) mod past;
pub(in crate::pool) mod probe_rounds;
pub(in crate::pool) mod quotas;
pub(in crate::pool) mod refresh;
pub(in crate::pool) mod rendezvous;
pub(in crate::pool) mod selection;
pub(in crate::pool) mod serving;
pub(in crate::pool) mod session;
pub(in crate::pool) mod standing;
pub(in crate::pool) mod stats;
pub(in crate::pool) mod tier;
pub(in crate::pool) mod usage;
pub(in crate::pool) mod warnings;
