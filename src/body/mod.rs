//! Bodies: what is sent again, what is looked at, what is passed on.

mod guarded;
pub mod meter;
mod replay;
mod response;
mod source;
pub mod sse;
mod tee;

pub use self::guarded::StreamError;
pub(crate) use self::guarded::{Guard, GuardedBody, UsageCell};
pub use self::replay::ReplayBody;
pub use self::response::ResponseBody;
