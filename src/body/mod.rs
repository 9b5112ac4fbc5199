//! Bodies: what is sent again, what is looked at, what is passed on.

mod encoding;
mod erased;
mod error_body;
mod guard;
mod hold;
pub mod meter;
mod record;
mod redact;
mod replay;
mod response;
mod source;
pub mod sse;
mod tee;
mod upload;

use std::task::Poll;

use bytes::Bytes;
use http_body::Frame;
use tower::BoxError;

pub(crate) use crate::body::encoding::{Decoded, decode, is_identity};
pub use crate::body::error_body::ErrorBody;
pub(crate) use crate::body::error_body::RestLimits;
pub(crate) use crate::body::guard::{BodyEnd, EndListener, EventDialect, Guard, Settle, UsageCell};
pub use crate::body::guard::{StreamError, StreamErrorKind};
pub(crate) use crate::body::redact::{Redactor, Search};
pub use crate::body::replay::ReplayBody;
pub use crate::body::response::ResponseBody;
pub(crate) use crate::body::response::Rest;
pub(crate) use crate::body::upload::Upload;

/// What polling a body brings.
type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;
