//! Finding a usable key, and admitting a request to it.

pub(in crate::pool) mod admit;
pub(in crate::pool) mod availability;
pub(in crate::pool) mod exhausted;
pub(in crate::pool) mod headroom;
pub(in crate::pool) mod held;
pub(in crate::pool) mod other_endpoint;
pub(in crate::pool) mod request;
pub(in crate::pool) mod reserve;
pub(in crate::pool) mod search;
pub(in crate::pool) mod usable;
