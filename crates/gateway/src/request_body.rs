//! The body of a request: collected if it is small, passed on as it arrives otherwise.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tower::BoxError;
use tower_key_rotation::body::ReplayBody;

use crate::refusal::Refusal;
use crate::stall::StallTimeout;

/// Maximum size of a body that is collected before the request is passed on (256 KiB). A collected body can be sent
/// again without a copy.
const SMALL: u64 = 256 * 1024;

/// Maximum size of a JSON body that is collected (2 MiB). It is searched for ids and names of sessions.
const DOCUMENT: u64 = 2 * 1024 * 1024;

/// The body of a request.
pub(crate) enum RequestBody {
    /// A body that has arrived.
    Whole(Bytes),
    /// A body that is passed on as it arrives.
    Streamed(ReplayBody),
}

/// Makes the body replayable. Limits it to `max` bytes and to pauses of `timeout`. Collects it if it is small, or if the
/// `whole` body is needed.
pub(crate) async fn take<B>(
    body: B,
    headers: &HeaderMap,
    (max, timeout): (usize, Duration),
    whole: bool,
) -> Result<RequestBody, Refusal>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let length = body.size_hint();
    if length.lower() > max as u64 {
        return Err(Refusal::TooLarge);
    }
    let body = StallTimeout::new(body, timeout);
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let small = if kind.starts_with(b"application/json") { DOCUMENT } else { SMALL };
    if length.upper().is_some_and(|length| length <= small) {
        collect(body).await.map(RequestBody::Whole).map_err(|error| Refusal::of_body(&*error))
    } else if whole {
        let collected = Box::pin(collect(Limited::new(body, max))).await;
        collected.map(RequestBody::Whole).map_err(|error| Refusal::of_body(&*error))
    } else {
        let body = Box::pin(ReplayBody::new(Limited::new(body, max), max)).await;
        Ok(RequestBody::Streamed(body))
    }
}

/// Collects a body. Most bodies arrive as one frame, which needs no copy.
async fn collect<B>(mut body: B) -> Result<Bytes, BoxError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let Some(frame) = body.frame().await else { return Ok(Bytes::new()) };
    let first = frame.map_err(Into::into)?.into_data().unwrap_or_default();
    if body.is_end_stream() {
        return Ok(first);
    }
    let rest = Box::pin(body.collect()).await.map_err(Into::into)?.to_bytes();
    Ok([first, rest].concat().into())
}

// === impl RequestBody ===

impl RequestBody {
    /// Returns the body, if it has arrived.
    pub(crate) const fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Streamed(_) => None,
        }
    }
}

impl From<RequestBody> for ReplayBody {
    fn from(body: RequestBody) -> Self {
        match body {
            RequestBody::Whole(bytes) => bytes.into(),
            RequestBody::Streamed(body) => body,
        }
    }
}
