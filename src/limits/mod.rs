//! Quotas: the limits that an operator declares or that responses reveal.
//!
//! A gateway that only reacts to refusals pays for each of them with a call. Most providers report with every
//! success how much is left, and operators know the rest, so a pool can avoid the refusal. The known limits
//! of a scope (a key, an account, or either of them for one model) form a *ledger*: a list of *gauges*, each
//! of which counts one dimension over one window. A request takes its cost from all gauges that concern it
//! *before* it is sent, so that requests in flight are reserved. The cost is corrected when the response is
//! known.
//!
//! | gauge | how it counts | source |
//! |---|---|---|
//! | bucket | refills evenly: spaced, or in bursts up to its size | limits per second and minute; headers whose reset means *full* |
//! | window | resets at a fixed time | days in a time zone, aligned windows; headers whose reset means *again* |
//! | places | requests in flight | concurrency limits |
//!
//! # Declared and learned limits
//!
//! Gauges of both kinds stand side by side, and a request needs room in all of them, so the strictest limit
//! holds. Declared limits are exact about rates and know nothing of other users of the same account. Headers
//! describe the account as a whole, but only as of the moment at which the provider took note of that
//! request. So the value in a header is compared with the value that the gauge showed at that moment, and the
//! difference is applied to the value that the gauge shows now. Of two responses, the one to the later
//! request counts. A header never closes a scope for longer than the reset that it names, except for a safety
//! margin where requests were refused for arriving too early.
//!
//! # Cost of a request
//!
//! A request costs one request, and tokens as [estimated](Estimate) where tokens are limited at all. When the
//! response ends, the provider's own count replaces the estimate. A request that was never sent costs
//! nothing. A request that its caller gave up costs its estimate, since the provider may have executed it.
//!
//! A request that is larger than a limit is let through when that limit is untouched: the provider's refusal
//! explains the problem better than a wait that never ends.

mod declared;
mod estimate;
mod learned;
mod ledger;
#[cfg(feature = "redis")]
pub(crate) mod shared;

pub use self::declared::quota::{Allowance, ModelPattern, Quota};
pub use self::estimate::Estimate;
pub(crate) use self::learned::learn::Observed;
pub(crate) use self::ledger::cadence::Cadence;
pub(crate) use self::ledger::checkpoint::Checkpoints;
pub(crate) use self::ledger::cost::Cost;
#[cfg(feature = "redis")]
pub(crate) use self::ledger::gauge::allotted::{GaugeDemand, WindowName};
pub(crate) use self::ledger::gauge::shared::{GaugeName, OthersTook, SharedCount, SharedLimit};
pub(crate) use self::ledger::refused::Refused;
pub(crate) use self::ledger::search::{Pacing, ROUNDED};
#[cfg(feature = "redis")]
pub(crate) use self::ledger::sharing::demand::{Grant, LimitShape, Others};
#[cfg(feature = "redis")]
pub(crate) use self::ledger::sharing::link::Sharing;
pub(crate) use self::ledger::status::Alarm;
pub use self::ledger::status::{LimitSource, LimitStatus, Metric};
pub(crate) use self::ledger::{Availability, Ledger, Offer};
pub use crate::zone::{InvalidZone, Zone};
