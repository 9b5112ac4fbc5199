//! The body of a request: collected if it is small, passed on as it comes otherwise.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tower::BoxError;
use tower_key_rotation::body::ReplayBody;

use super::pace::Paced;
use super::refusal::Refusal;

/// As much is waited for before a request goes on: such a body can be sent again at no cost.
const SMALL: u64 = 256 * 1024;

/// Takes the body, which may have `max` bytes and pause for `pause`.
pub(super) async fn take<B>(body: B, max: usize, pause: Duration) -> Result<ReplayBody, Refusal>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let length = body.size_hint();
    if length.lower() > max as u64 {
        return Err(Refusal::TooLarge);
    }
    let body = Paced::new(body, pause);
    if length.upper().is_some_and(|length| length <= SMALL) {
        collect(body).await.map(ReplayBody::from).map_err(|error| Refusal::of_body(&*error))
    } else {
        Ok(Box::pin(ReplayBody::new(Limited::new(body, max), ReplayBody::CAP)).await)
    }
}

/// The body in one piece, which it mostly comes in.
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
