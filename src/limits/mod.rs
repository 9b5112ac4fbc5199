//! What is known of quotas: declared by an operator, or learned from answers.
//!
//! A gateway that only reacts to refusals pays for each with a call. Most providers tell with every success how
//! much is left, and operators know the rest, so a pool need not ask to be refused. What is known of a scope
//! (a key, an account, either of them for one model) is a *ledger*: a list of *gauges*, each of which counts
//! one dimension over one window. A request takes what it needs of all gauges that concern it *before* it is
//! sent, so that what is in flight is reserved, and is corrected when its answer is known.
//!
//! | gauge | how it counts | from |
//! |---|---|---|
//! | bucket | refills evenly: spaced, or in bursts up to its size | per second and minute; headers whose reset means *full* |
//! | window | starts anew at a fixed time | days in a time zone, aligned windows; headers whose reset means *again* |
//! | places | requests under way | concurrency |
//!
//! # Declared and learned
//!
//! Both kinds of gauge stand side by side and all have to agree, so the stricter holds. Declared limits are
//! exact about rates and know nothing of other users of the same account; what headers say is true of the
//! account as a whole, but only as of the moment at which the provider took note of that request. So what a
//! header says is compared with what the gauge showed at that moment, and the error is carried over to what it
//! shows now; of two answers the one to the later request counts. A header never closes a scope for longer than
//! the reset that it names, but for a margin where requests were refused for coming too early.
//!
//! # What a request takes
//!
//! One request, and tokens as [estimated](Estimate) where tokens are limited at all. When the answer has come
//! to its end, the estimate is replaced by what the provider counted. A request that was never sent takes
//! nothing; one that its caller gave up counts as estimated, since it may have been executed.
//!
//! A request that is larger than a limit itself is let through when the limit is untouched: the provider's
//! refusal says better what is wrong with it than a wait that never ends.

mod distance;
mod estimate;
mod gauge;
mod heard;
mod learn;
mod ledger;
mod marks;
mod need;
mod period;
mod quota;
mod reading;
mod told;
mod zone;

pub use self::estimate::Estimate;
pub(crate) use self::learn::Observed;
pub(crate) use self::ledger::{Ledger, Offer, Opening};
pub(crate) use self::marks::Marks;
pub(crate) use self::need::Need;
pub use self::quota::{Allowance, ModelPattern, Quota};
pub(crate) use self::reading::Alarm;
pub use self::reading::{Counted, Reading, Source};
pub use self::zone::{InvalidZone, Zone};
