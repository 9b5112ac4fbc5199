//! Draining of request bodies that were not read to their end.
//!
//! The gateway may refuse a request before its body has arrived: all keys are limited, or the token is wrong. A server
//! that stops reading then resets the connection, and a caller that is still sending sees a broken pipe instead of the
//! response. So the remaining body is read and discarded, within limits.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tower::BoxError;

/// Maximum time for which a remaining body is read (10 s).
const LONGEST: Duration = Duration::from_secs(10);

/// The body of a request, which is read to its end when it is dropped before.
pub(crate) struct DrainOnDrop<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// `None` once it is being drained.
    body: Option<B>,
    /// Maximum number of bytes to drain. Zero for a caller that waits for `100 Continue` before it sends the body.
    max: usize,
    /// Maximum pause of the caller.
    pause: Duration,
}

// === impl DrainOnDrop ===

impl<B> DrainOnDrop<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    pub(crate) fn new(body: B, head: &request::Parts, max: usize, pause: Duration) -> Self {
        let waits = head.headers.contains_key(EXPECT);
        Self { body: Some(body), max: if waits { 0 } else { max }, pause }
    }
}

impl<B> Body for DrainOnDrop<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> Drop for DrainOnDrop<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        if body.size_hint().lower() > self.max as u64 {
            return;
        }
        let (mut rest, pause) = (Limited::new(body, self.max), self.pause);
        let reading = async move { while let Ok(Some(Ok(_))) = timeout(pause, rest.frame()).await {} };
        if let Ok(runtime) = Handle::try_current() {
            let _task = runtime.spawn(timeout(LONGEST, reading));
        }
    }
}
