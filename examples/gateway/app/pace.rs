//! A request body whose caller has to keep sending.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tower::BoxError;

/// The bytes that a caller has to send within the limit, or the end of the body: 4 KiB. One byte at a time is a pause.
const PIECE: usize = 4 * 1024;

/// A body that fails when its caller lets the gateway wait for too long. The time in which the body is not asked for
/// does not count.
pub(super) struct Paced<B> {
    body: B,
    limit: Duration,
    /// How long the caller was waited for since the last whole piece.
    waited: Duration,
    bytes: usize,
    /// Since when the caller is waited for, and until when.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// The caller sent no more of the body.
#[derive(Debug, thiserror::Error)]
#[error("the body of the request stalled")]
pub(super) struct Stalled;

// === impl Paced ===

impl<B> Paced<B> {
    pub(super) const fn new(body: B, limit: Duration) -> Self {
        Self { body, limit, waited: Duration::ZERO, bytes: 0, waiting: None }
    }

    fn came(&mut self, frame: &Frame<Bytes>) {
        if let Some((since, _)) = self.waiting.take() {
            self.waited += Instant::now().saturating_duration_since(since);
        }
        self.bytes += frame.data_ref().map_or(0, Bytes::len);
        if self.bytes >= PIECE {
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
    }
}

impl<B> Body for Paced<B>
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
                self.came(frame);
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
