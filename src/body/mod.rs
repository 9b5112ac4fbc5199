//! Bodies: what is sent again, what is looked at, what is passed on.

mod guard;
pub mod meter;
mod replay;
mod response;
mod source;
pub mod sse;
mod tee;
mod upload;

pub use self::guard::StreamError;
pub(crate) use self::guard::{Guard, Settle, UsageCell};
pub use self::replay::ReplayBody;
pub use self::response::ResponseBody;
pub(crate) use self::response::Rest;
pub(crate) use self::upload::Upload;
