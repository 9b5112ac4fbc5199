//! A timeout for callers that stop sending the body of their request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tower::BoxError;

/// Number of bytes that a caller must send within the limit, unless the body ends before (4 KiB). A caller that sends
/// single bytes counts as pausing.
const PIECE: usize = 4 * 1024;

/// A body that fails with [`Stalled`] when the gateway waits for its caller longer than a limit. Time during which the
/// body is not polled does not count.
pub(crate) struct StallTimeout<B> {
    body: B,
    limit: Duration,
    /// Time spent waiting since the last whole piece.
    waited: Duration,
    /// Number of bytes since the last whole piece.
    bytes: usize,
    /// Start and timeout of the current wait.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// Error of a body whose caller stopped sending it.
#[derive(Debug, thiserror::Error)]
#[error("the body of the request stalled")]
pub(crate) struct Stalled;

// === impl StallTimeout ===

impl<B> StallTimeout<B> {
    pub(crate) const fn new(body: B, limit: Duration) -> Self {
        Self { body, limit, waited: Duration::ZERO, bytes: 0, waiting: None }
    }

    fn received(&mut self, frame: &Frame<Bytes>) {
        if let Some((since, _)) = self.waiting.take() {
            self.waited += Instant::now().saturating_duration_since(since);
        }
        self.bytes += frame.data_ref().map_or(0, Bytes::len);
        if self.bytes >= PIECE {
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
    }
}

impl<B> Body for StallTimeout<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                self.received(frame);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let left = self.limit.saturating_sub(self.waited);
        let (_, end) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        ready!(end.as_mut().poll(cx));
        Poll::Ready(Some(Err(Stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
