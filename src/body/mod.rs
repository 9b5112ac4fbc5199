//! Request and response bodies: replay, inspection, guards and metering.

mod encoding;
mod erased;
mod error_body;
mod guard;
mod hold;
pub(crate) mod json;
pub(crate) mod meter;
mod redact;
mod replay;
mod response;
mod rest;
pub mod sse;
mod stored;
mod upload;

use std::task::Poll;

use bytes::Bytes;
use http_body::Frame;
use tower::BoxError;

pub(crate) use self::encoding::{Decoded, decode, is_identity};
pub use self::error_body::ErrorBody;
pub(crate) use self::error_body::RestLimits;
pub(crate) use self::guard::{BodyEnd, EndListener, EventDialect, Settle, Shape, StreamGuard, UsageSlot};
pub use self::guard::{StreamError, StreamErrorKind};
pub use self::meter::Usage;
pub(crate) use self::redact::{Redactor, Search};
pub(crate) use self::replay::Pieces;
pub use self::replay::ReplayBody;
pub use self::response::ResponseBody;
pub(crate) use self::rest::Rest;
pub use self::stored::{ReadStored, StoredBody};
pub(crate) use self::upload::Upload;

/// The result of polling a body.
type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;
