//! Bodies: what is sent again, what is looked at, what is passed on.

mod encoding;
mod erased;
mod error_body;
mod guard;
pub mod meter;
mod redact;
mod replay;
mod response;
mod source;
pub mod sse;
mod tee;
mod upload;

pub(crate) use self::encoding::{Decoded, decode, is_identity};
pub use self::error_body::ErrorBody;
pub(crate) use self::error_body::RestLimits;
pub use self::guard::StreamError;
pub(crate) use self::guard::{Guard, Settle, UsageCell};
pub(crate) use self::redact::{Redactor, Search};
pub use self::replay::ReplayBody;
pub use self::response::ResponseBody;
pub(crate) use self::response::Rest;
pub(crate) use self::upload::Upload;
