//! The body of a request: collected if it is small or a document, passed on as it arrives otherwise, or from a file if
//! there is no memory for it.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;
use tower::BoxError;
use tower_key_rotation::Home;
use tower_key_rotation::body::ReplayBody;

use crate::affinity::{Affinity, HomeSearch};
use crate::refusal::Refusal;
use crate::spool::{BodyBudget, Kept, Room, SMALL, keep};
use crate::stall::StallTimeout;

/// The body of a request.
pub(crate) struct RequestBody {
    body: ReplayBody,
    /// All of it, if it is in memory in one piece.
    whole: Option<Bytes>,
    /// The memory that it takes, unless it is small.
    room: Option<Room>,
    /// The key that holds an object which a body outside of `whole` names.
    home: Option<Home>,
}

/// The rules by which bodies are taken.
pub(crate) struct Intake<'a> {
    /// Maximum size of a body in bytes.
    pub(crate) max: usize,
    /// Maximum pause of the caller.
    pub(crate) timeout: Duration,
    pub(crate) budget: &'a BodyBudget,
    pub(crate) affinity: &'a Affinity,
    /// Whether the whole body is needed in memory before the request is passed on.
    pub(crate) whole: bool,
}

// === impl Intake ===

impl Intake<'_> {
    /// Makes the body replayable. Collects it if it is small, or a document, or of unknown length, or if the whole body is
    /// needed; any other is passed on as it arrives. Writes it to a file if there is no memory for it.
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
            return Ok(RequestBody::whole(collected, None));
        }
        let body = Limited::new(body, self.max);
        Box::pin(self.take_large(body, length.exact(), is_json(headers))).await
    }

    /// Takes a body that may be large.
    async fn take_large<B>(self, body: B, length: Option<u64>, is_json: bool) -> Result<RequestBody, Refusal>
    where
        B: Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
    {
        let room = self.budget.memory(length.unwrap_or_default());
        if length.is_some() && room.is_some() && !is_json && !self.whole {
            let body = ReplayBody::new(body, self.max).await;
            return Ok(RequestBody { body, whole: None, room, home: None });
        }
        let mut search = is_json.then(|| self.affinity.search()).flatten();
        let see = |data: &[u8]| search.iter_mut().for_each(|search| search.see(data));
        let kept = keep(body, (self.budget, room), length, see).await;
        let Kept { body, room } = kept.map_err(|error| Refusal::of_body(&*error))?;
        match body.try_into_bytes() {
            Ok(whole) => Ok(RequestBody::whole(whole, room)),
            Err(body) if self.whole => self.gather(body, room).await,
            Err(body) => {
                Ok(RequestBody { body, whole: None, room, home: search.and_then(HomeSearch::into_home) })
            }
        }
    }

    /// Reads a body that has arrived into memory. Waits for memory if it takes none yet.
    async fn gather(self, body: ReplayBody, room: Option<Room>) -> Result<RequestBody, Refusal> {
        let room = match room {
            Some(room) => room,
            None => {
                let free = self.budget.wait_for_memory(body.size_hint().lower());
                timeout(self.timeout, free).await.ok().flatten().ok_or(Refusal::NoRoom)?
            }
        };
        let whole = body.collect().await.map_err(|_unreadable| Refusal::Storage)?.to_bytes();
        Ok(RequestBody::whole(whole, Some(room)))
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
    fn whole(whole: Bytes, room: Option<Room>) -> Self {
        Self { body: whole.clone().into(), whole: Some(whole), room, home: None }
    }

    /// Returns the body, if it has arrived and is in memory in one piece.
    pub(crate) const fn bytes(&self) -> Option<&Bytes> {
        self.whole.as_ref()
    }

    /// Returns the key that holds an object which the body names, if that was found as it arrived.
    pub(crate) const fn home(&self) -> Option<&Home> {
        self.home.as_ref()
    }

    /// Returns the body to send, and the memory that it takes until there is a response.
    pub(crate) fn into_parts(self) -> (ReplayBody, Option<Room>) {
        (self.body, self.room)
    }
}
