//! The body of a request: collected if it is small, passed on as it comes otherwise.

use bytes::Bytes;
use http::Request;
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tower::BoxError;
use tower_key_rotation::body::ReplayBody;

use super::refusal::Refusal;

/// As much is waited for before a request goes on: such a body can be sent again at no cost.
const SMALL: u64 = 256 * 1024;

/// Takes the body, which may have so many bytes.
pub(super) async fn take<B>(request: Request<B>, max: usize) -> Result<Request<ReplayBody>, Refusal>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let length = body.size_hint();
    if length.lower() > max as u64 {
        return Err(Refusal::TooLarge);
    }
    let body = if length.upper().is_some_and(|length| length <= SMALL) {
        let body = body.collect().await.map_err(|error| Refusal::of_body(&*error.into()))?;
        ReplayBody::from(body.to_bytes())
    } else {
        ReplayBody::new(Limited::new(body, max), ReplayBody::CAP).await
    };
    Ok(Request::from_parts(parts, body))
}
