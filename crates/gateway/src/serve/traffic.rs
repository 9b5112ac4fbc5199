//! The state of one connection: whether a request is in flight, and whether its caller reads.
//!
//! hyper limits the time for a head only after it has detected the version of HTTP, and has no limit for a caller that
//! does not read. So the gateway watches a connection itself: without a request in flight, the caller must send one
//! within a time limit that includes the first byte; with a blocked write, the caller must read within a time limit.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use crate::websocket::Tunnel;

/// The observed state of one connection.
pub(super) struct Traffic {
    began: Instant,
    /// Number of requests in flight, counted until their responses end.
    busy: AtomicUsize,
    /// Time of the end of the last request, or of the last write after it, in milliseconds since `began`.
    idle_since: AtomicU64,
    /// Time since which the caller does not read, in milliseconds since `began`; [`READS`] if it reads.
    blocked_since: AtomicU64,
    /// Closes the connection, to make room for another.
    pub(super) close: Notify,
    /// The tunnel that the connection has become.
    tunnel: OnceLock<Tunnel>,
}

const READS: u64 = u64::MAX;

/// A request in flight.
pub(super) struct InFlight {
    traffic: Arc<Traffic>,
    /// Its permit among the requests of all connections.
    _permit: Option<OwnedSemaphorePermit>,
}

/// The stream of a connection. Records whether writes are blocked.
pub(super) struct Watched {
    stream: TcpStream,
    traffic: Arc<Traffic>,
}

pin_project! {
    /// The body of a response. Its request counts as in flight until the body is dropped.
    pub(super) struct Tracked<B> {
        #[pin]
        body: B,
        in_flight: Option<InFlight>,
    }
}

// === impl Traffic ===

impl Traffic {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            busy: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(READS),
            close: Notify::new(),
            tunnel: OnceLock::new(),
        })
    }

    pub(super) fn request(self: &Arc<Self>, permit: Option<OwnedSemaphorePermit>) -> InFlight {
        self.busy.fetch_add(1, Ordering::Relaxed);
        InFlight { traffic: Arc::clone(self), _permit: permit }
    }

    /// Returns the tunnel that the connection has become, if it has.
    pub(super) fn tunnel(&self) -> Option<&Tunnel> {
        self.tunnel.get()
    }

    /// Returns the time since which no request is in flight; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = self.busy.load(Ordering::Relaxed) == 0;
        idle.then(|| self.at(self.idle_since.load(Ordering::Relaxed)))
    }

    /// Returns the time of the next check; `None` if the connection has been idle or blocked for too long.
    pub(super) fn next_check(&self, now: Instant, idle: Duration, write: Duration) -> Option<Instant> {
        let idle_until = self.idle_since().map_or(now + idle, |since| since + idle);
        let blocked = self.blocked_since.load(Ordering::Relaxed);
        let write_until = if blocked == READS { now + write } else { self.at(blocked) + write };
        Some(idle_until.min(write_until)).filter(|next| *next > now)
    }

    fn now(&self) -> u64 {
        u64::try_from(Instant::now().saturating_duration_since(self.began).as_millis()).unwrap_or(READS - 1)
    }

    fn at(&self, ms: u64) -> Instant {
        self.began + Duration::from_millis(ms)
    }

    fn wrote(&self) {
        if self.blocked_since.load(Ordering::Relaxed) != READS {
            self.blocked_since.store(READS, Ordering::Relaxed);
        }
        if self.busy.load(Ordering::Relaxed) == 0 {
            self.idle_since.store(self.now(), Ordering::Relaxed);
        }
    }

    fn blocked(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == READS {
            self.blocked_since.store(self.now(), Ordering::Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.traffic.idle_since.store(self.traffic.now(), Ordering::Relaxed);
        self.traffic.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Tracked ===

impl<B> Tracked<B> {
    /// Tracks a request until the body of its response, or the tunnel that follows the response, has ended.
    pub(super) fn response(mut response: Response<B>, in_flight: InFlight) -> Response<Self> {
        let Some(tunnel) = response.extensions_mut().remove::<Tunnel>() else {
            return response.map(|body| Self { body, in_flight: Some(in_flight) });
        };
        // A connection becomes a tunnel only once.
        let _first = in_flight.traffic.tunnel.set(tunnel.clone());
        tunnel.attach(in_flight);
        response.map(|body| Self { body, in_flight: None })
    }
}

impl<B: Body<Data = Bytes>> Body for Tracked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Watched ===

impl Watched {
    pub(super) const fn new(stream: TcpStream, traffic: Arc<Traffic>) -> Self {
        Self { stream, traffic }
    }

    fn record<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &written {
            Poll::Ready(_) => self.traffic.wrote(),
            Poll::Pending => self.traffic.blocked(),
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        self.record(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        self.record(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
