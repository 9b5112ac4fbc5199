//! The state machine of one scope: a key, an account, or either for one model. Nothing here knows keys or requests.

pub(in crate::pool) mod auth_outage;
pub(in crate::pool) mod cooldown;
pub(in crate::pool) mod growing;
pub(in crate::pool) mod level;
pub(in crate::pool) mod outage;
pub(in crate::pool) mod queue;
pub(in crate::pool) mod ready_bits;
pub(in crate::pool) mod shared_limit;
pub(in crate::pool) mod slot;
pub(in crate::pool) mod slow_start;
pub(in crate::pool) mod state;
