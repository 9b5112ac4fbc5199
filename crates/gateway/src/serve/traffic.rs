//! The state of one connection: whether a request is in flight, and whether its caller reads.
//!
//! hyper limits the time for a head only after it has detected the version of HTTP, and has no limit for a caller that
//! does not read. So the gateway watches a connection itself: without a request in flight, the caller must send one
//! within a time limit that includes the first byte; with a blocked write, the caller must read within a time limit.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

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
    /// Time of the end of the last request, or of the blocked write after it, in milliseconds since `began`.
    idle_since: AtomicU64,
    /// Time since which the caller does not read, in milliseconds since `began`; [`READS`] if it reads.
    blocked_since: AtomicU64,
    /// Closes the connection, to make room for another.
    pub(super) close: Notify,
    /// The tunnel that the connection has become.
    pub(super) tunnel: OnceLock<Tunnel>,
    /// Whether the end of the connection would look like that of a response that has failed.
    has_failed: AtomicBool,
    /// The bodies that are sent over HTTP/2.
    streams: Mutex<Vec<Weak<dyn Abandon>>>,
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

/// The body of a response whose caller may stop reading it while the connection goes on.
pub(super) trait Abandon: Send + Sync {
    /// Returns the time since which the caller takes no more, in milliseconds of the connection; `None` if it reads.
    fn waits_since(&self) -> Option<u64>;

    /// Drops the body, and ends its request.
    fn abandon(&self);
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
            has_failed: AtomicBool::new(false),
            streams: Mutex::default(),
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

    /// Lets the connection end with a reset, so that its caller does not take a part of a response for the whole.
    pub(super) fn fail(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Watches a body, to abandon it when its caller does not read it.
    pub(super) fn watch(&self, body: Weak<dyn Abandon>) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|known| known.strong_count() > 0);
        streams.push(body);
    }

    /// Abandons the bodies whose callers have not read them for as long as this.
    fn abandon_unread(&self, now: Instant, write: Duration) {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_unread = |since: u64| self.at(since) + write <= now;
        for body in streams.iter().filter_map(Weak::upgrade) {
            if body.waits_since().is_some_and(is_unread) {
                body.abandon();
            }
        }
    }

    /// Returns the time of the next check; `None` if the connection has been idle or blocked for too long.
    pub(super) fn next_check(&self, now: Instant, idle: Duration, write: Duration) -> Option<Instant> {
        self.abandon_unread(now, write);
        let idle_until = self.idle_since().map_or(now + idle, |since| since + idle);
        let blocked = self.blocked_since.load(Ordering::Relaxed);
        let write_until = if blocked == READS { now + write } else { self.at(blocked) + write };
        Some(idle_until.min(write_until)).filter(|next| *next > now)
    }

    /// Returns the time in milliseconds of the connection.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(Instant::now().saturating_duration_since(self.began).as_millis()).unwrap_or(READS - 1)
    }

    fn at(&self, ms: u64) -> Instant {
        self.began + Duration::from_millis(ms)
    }

    fn wrote(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == READS {
            return;
        }
        self.blocked_since.store(READS, Ordering::Relaxed);
        // The rest of a response. Replies to the pings of an idle caller are never blocked, and do not keep it.
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

// === impl InFlight ===

impl InFlight {
    /// Returns the traffic of the connection.
    pub(super) const fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.traffic.idle_since.store(self.traffic.now(), Ordering::Relaxed);
        self.traffic.busy.fetch_sub(1, Ordering::Relaxed);
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

impl Drop for Watched {
    fn drop(&mut self) {
        if self.traffic.has_failed.load(Ordering::Relaxed) {
            // Fails only if the connection has ended already.
            let _ = self.stream.set_zero_linger();
        }
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
