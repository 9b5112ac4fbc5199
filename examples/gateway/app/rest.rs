//! The rest of a request body that was not needed.
//!
//! A refusal may be sent before the request has come in whole: all keys are limited, a token is wrong. A server that
//! then stops reading resets the connection, and a caller that is still sending sees a broken pipe in place of the
//! response. So what is left is read and thrown away, within limits.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long the rest of a body may take: 10 s.
const LONGEST: Duration = Duration::from_secs(10);

/// The body of a request, which is read to its end even if it is dropped before.
pub(super) struct Rest {
    /// `None`, once its rest is being read.
    body: Option<Incoming>,
    /// A longer rest is not read. Zero for a caller that asks before it sends a body.
    max: usize,
    /// A caller that pauses for longer is not waited for.
    pause: Duration,
}

// === impl Rest ===

impl Rest {
    pub(super) fn new(body: Incoming, head: &request::Parts, max: usize, pause: Duration) -> Self {
        let asks = head.headers.contains_key(EXPECT);
        Self { body: Some(body), max: if asks { 0 } else { max }, pause }
    }
}

impl Body for Rest {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
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

impl Drop for Rest {
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
