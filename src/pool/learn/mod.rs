//! Inferring which keys share a fate: accounts, an outage of authentication, and refusals that may be the request's own.

pub(in crate::pool) mod accounts;
mod last_key;
pub(in crate::pool) mod outage;
pub(in crate::pool) mod provisional;
pub(in crate::pool) mod secret;
