//! The body of a response, while its request is in flight.
//!
//! A caller over HTTP/2 that does not read its response stops that one stream: writes to the connection go on, and the
//! body is not polled any more. After a time limit such a body is abandoned. Its provider, its key and its place among the
//! requests in flight are free again, and the other streams of the connection go on.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, Version};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower::BoxError;

use crate::serve::traffic::{Abandon, InFlight, Traffic};
use crate::websocket::Tunnel;

pin_project! {
    /// The body of a response. Its request counts as in flight until the body is dropped or abandoned.
    #[project = TrackedProjection]
    pub(super) enum Tracked<B> {
        /// Of HTTP/1, where a caller that does not read blocks its connection. In HTTP/1.0 the end of the connection is
        /// that of the body.
        Connection { #[pin] body: B, in_flight: Option<InFlight>, ends_connection: bool },
        /// Of a stream of HTTP/2. The rest of the last frame comes before the next one, and a failure after a delay.
        Stream { stream: Arc<Stream<B>>, rest: Bytes, failure: Option<Box<Failure>> },
    }
}

/// A response over HTTP/2.
pub(super) struct Stream<B> {
    /// `None`: it was abandoned.
    kept: Mutex<Option<Kept<B>>>,
    traffic: Arc<Traffic>,
    /// Time since which the caller takes no more, in milliseconds of the connection; [`READS`] if it reads.
    waits_since: AtomicU64,
}

struct Kept<B> {
    body: Pin<Box<B>>,
    _in_flight: InFlight,
}

/// The error of a body, and the time until it follows the data before it. A reset of a stream discards the data that the
/// task of its connection has not written yet.
pub(super) struct Failure {
    error: BoxError,
    written: Pin<Box<Sleep>>,
}

/// Time for the task of a connection to write the last data of a stream (50 ms).
const WRITING: Duration = Duration::from_millis(50);

/// The error of a response that was abandoned.
#[derive(Debug, thiserror::Error)]
#[error("the caller did not read its response within `write_timeout`")]
struct Unread;

const READS: u64 = u64::MAX;

/// Maximum size of a frame over HTTP/2 (16 KiB). hyper takes whole frames, and does not show how much of them is read.
const PIECE: usize = 16 * 1024;

// === impl Tracked ===

impl<B: Body<Data = Bytes> + Send + 'static> Tracked<B> {
    /// Tracks a request until the body of its response, or the tunnel that follows the response, has ended.
    pub(super) fn response(
        mut response: Response<B>,
        in_flight: InFlight,
        version: Version,
    ) -> Response<Self> {
        if let Some(tunnel) = response.extensions_mut().remove::<Tunnel>() {
            // A connection becomes a tunnel only once.
            let _first = in_flight.traffic().tunnel.set(tunnel.clone());
            tunnel.attach(in_flight);
            return response.map(|body| Self::Connection { body, in_flight: None, ends_connection: false });
        }
        if version != Version::HTTP_2 || response.body().is_end_stream() {
            let ends_connection = version < Version::HTTP_11;
            return response.map(|body| Self::Connection {
                body,
                in_flight: Some(in_flight),
                ends_connection,
            });
        }
        response.map(|body| Self::Stream {
            stream: Stream::new(body, in_flight),
            rest: Bytes::new(),
            failure: None,
        })
    }
}

impl<B> Body for Tracked<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project() {
            TrackedProjection::Connection { body, in_flight, ends_connection } => {
                let polled = body.poll_frame(cx);
                if *ends_connection && matches!(polled, Poll::Ready(Some(Err(_)))) {
                    in_flight.iter().for_each(|in_flight| in_flight.traffic().fail());
                }
                polled.map_err(Into::into)
            }
            TrackedProjection::Stream { stream, rest, failure } => {
                if failure.is_none() {
                    match ready!(stream.poll_frame(rest, cx)) {
                        Some(Err(error)) => {
                            let written = Box::pin(sleep(WRITING));
                            *failure = Some(Box::new(Failure { error, written }));
                        }
                        other => return Poll::Ready(other),
                    }
                }
                if let Some(failure) = failure {
                    ready!(failure.written.as_mut().poll(cx));
                }
                Poll::Ready(failure.take().map(|failure| Err(failure.error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Connection { body, .. } => body.is_end_stream(),
            Self::Stream { stream, rest, failure } => {
                rest.is_empty() && failure.is_none() && stream.of_body(false, Body::is_end_stream)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Connection { body, .. } => body.size_hint(),
            // Asked for before the first frame, so there is no rest.
            Self::Stream { stream, .. } => stream.of_body(SizeHint::new(), Body::size_hint),
        }
    }
}

// === impl Stream ===

impl<B: Body<Data = Bytes> + Send + 'static> Stream<B> {
    fn new(body: B, in_flight: InFlight) -> Arc<Self> {
        let traffic = Arc::clone(in_flight.traffic());
        let kept = Mutex::new(Some(Kept { body: Box::pin(body), _in_flight: in_flight }));
        let waits_since = AtomicU64::new(traffic.now());
        let stream = Arc::new(Self { kept, traffic, waits_since });
        let abandoned: Arc<dyn Abandon> = Arc::<Self>::clone(&stream);
        stream.traffic.watch(Arc::downgrade(&abandoned));
        stream
    }
}

impl<B> Stream<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    fn poll_frame(
        &self,
        rest: &mut Bytes,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.waits_since.store(READS, Ordering::Relaxed);
        if rest.is_empty() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(Kept { body, .. }) = &mut *kept else {
                return Poll::Ready(Some(Err(Unread.into())));
            };
            match ready!(body.as_mut().poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => *rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            }
        }
        self.waits_since.store(self.traffic.now(), Ordering::Relaxed);
        let piece = rest.split_to(rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl<B> Stream<B> {
    fn of_body<T>(&self, abandoned: T, ask: impl FnOnce(&B) -> T) -> T {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().map_or(abandoned, |kept| ask(&kept.body))
    }
}

impl<B: Send> Abandon for Stream<B> {
    fn waits_since(&self) -> Option<u64> {
        Some(self.waits_since.load(Ordering::Relaxed)).filter(|since| *since != READS)
    }

    fn abandon(&self) {
        self.waits_since.store(READS, Ordering::Relaxed);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(kept);
    }
}
