//! The body of a request: collected if it is small, passed on as it arrives otherwise, or from a file if there is no
//! memory for it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;
use tower::BoxError;
use tower_key_rotation::body::ReplayBody;

use crate::refusal::Refusal;
use crate::spool::{BodyBudget, Room, spool};
use crate::stall::StallTimeout;

/// Maximum size of a body that is collected before the request is passed on (256 KiB). A collected body can be sent
/// again without a copy.
const SMALL: u64 = 256 * 1024;

/// Maximum size of a JSON body that is collected (2 MiB). It is searched for ids and names of sessions.
const DOCUMENT: u64 = 2 * 1024 * 1024;

/// The body of a request.
pub(crate) enum RequestBody {
    /// A body that has arrived. It takes part of the memory for bodies, unless it is small.
    Whole(Bytes, Option<Room>),
    /// A body that is passed on as it arrives, or from a file.
    Streamed(ReplayBody, Option<Room>),
}

/// The rules by which bodies are taken.
pub(crate) struct Intake<'a> {
    /// Maximum size of a body in bytes.
    pub(crate) max: usize,
    /// Maximum pause of the caller.
    pub(crate) timeout: Duration,
    pub(crate) budget: &'a BodyBudget,
    /// Whether the whole body is needed before the request is passed on.
    pub(crate) whole: bool,
}

// === impl Intake ===

impl Intake<'_> {
    /// Makes the body replayable. Collects it if it is small, or if the whole body is needed. Writes it to a file if
    /// there is no memory for it.
    pub(crate) async fn take<B>(self, body: B, headers: &HeaderMap) -> Result<RequestBody, Refusal>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let length = body.size_hint();
        if length.lower() > self.max as u64 {
            return Err(Refusal::TooLarge);
        }
        let body = StallTimeout::new(body, self.timeout);
        if length.upper().is_some_and(|length| length <= SMALL) {
            let collected = collect(body).await.map_err(|error| Refusal::of_body(&*error))?;
            return Ok(RequestBody::Whole(collected, None));
        }
        let body = Limited::new(body, self.max);
        let most = length.upper().unwrap_or(u64::MAX).min(self.max as u64);
        Box::pin(self.take_large(body, most, is_json(headers))).await
    }

    /// Takes a body of up to `most` bytes.
    async fn take_large<B>(self, body: B, most: u64, is_json: bool) -> Result<RequestBody, Refusal>
    where
        B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
    {
        if self.whole {
            return self.take_whole(body, most).await;
        }
        let Some(room) = self.budget.memory(most) else {
            let spooled = spool(body, most, self.budget).await.map_err(|error| Refusal::of_body(&*error))?;
            return Ok(match spooled.try_into_bytes() {
                Ok(small) => RequestBody::Whole(small, None),
                Err(stored) => RequestBody::Streamed(stored, None),
            });
        };
        if is_json && most <= DOCUMENT {
            let collected = collect(body).await.map_err(|error| Refusal::of_body(&*error))?;
            return Ok(RequestBody::Whole(collected, Some(room)));
        }
        Ok(RequestBody::Streamed(ReplayBody::new(body, self.max).await, Some(room)))
    }

    /// Collects a body of up to `most` bytes. Waits for memory if it turns out to be large.
    async fn take_whole<B>(self, mut body: B, most: u64) -> Result<RequestBody, Refusal>
    where
        B: Body<Data = Bytes, Error = BoxError> + Send + Unpin,
    {
        let (mut all, mut room) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::of_body(&*error))?;
            all.extend_from_slice(&frame.into_data().unwrap_or_default());
            if room.is_none() && all.len() as u64 > SMALL {
                let free = timeout(self.timeout, self.budget.wait_for_memory(most)).await;
                room = Some(free.ok().flatten().ok_or(Refusal::NoRoom)?);
            }
        }
        Ok(RequestBody::Whole(all.freeze(), room))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    kind.get(..16).is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/json"))
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
    /// Returns the body, if it has arrived and is in memory.
    pub(crate) const fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes, _) => Some(bytes),
            Self::Streamed(..) => None,
        }
    }

    /// Returns the body to send, and the memory that it takes until there is a response.
    pub(crate) fn into_parts(self) -> (ReplayBody, Option<Room>) {
        match self {
            Self::Whole(bytes, room) => (bytes.into(), room),
            Self::Streamed(body, room) => (body, room),
        }
    }
}
