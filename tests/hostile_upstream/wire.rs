//! An upstream in memory: a hyper client connection over a pipe whose other end plays a script. On a paused clock
//! hundreds of faults take seconds.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tower::{BoxError, Service};
use tower_key_rotation::body::ReplayBody;

use crate::case::{Fault, GARBAGE};

/// A client whose provider sends some bytes, and then performs an action.
#[derive(Clone)]
pub(crate) struct Wire {
    bytes: Arc<Vec<u8>>,
    fault: Fault,
    /// Bytes that are sent at once.
    pace: usize,
    calls: Arc<AtomicUsize>,
}

/// The client's end of the pipe. A connection that was reset ends in an error.
struct Line {
    io: DuplexStream,
    reset: Arc<AtomicBool>,
}

// === impl Wire ===

impl Wire {
    pub(crate) fn new((bytes, fault): (Vec<u8>, Fault), pace: usize) -> Self {
        Self { bytes: Arc::new(bytes), fault, pace, calls: Arc::default() }
    }

    /// Returns the number of whole requests that came.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn play(self, mut io: DuplexStream, reset: Arc<AtomicBool>) {
        if read_request(&mut io).await.is_none() {
            return;
        }
        self.calls.fetch_add(1, Ordering::SeqCst);
        for piece in self.bytes.chunks(self.pace) {
            if io.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        match self.fault {
            Fault::Cut => {}
            Fault::Reset => reset.store(true, Ordering::SeqCst),
            Fault::Garbage => drop(io.write_all(GARBAGE).await),
            Fault::Stall => while matches!(io.read(&mut [0; 64]).await, Ok(1..)) {},
        }
    }
}

impl Service<Request<ReplayBody>> for Wire {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReplayBody>) -> Self::Future {
        let wire = self.clone();
        Box::pin(async move {
            let (client, server) = duplex(64 * 1024);
            let reset = Arc::new(AtomicBool::new(false));
            tokio::spawn(wire.play(server, Arc::clone(&reset)));
            exchange(Line { io: client, reset }, request).await
        })
    }
}

/// Sends a request over a connection of its own.
pub(crate) async fn exchange<I>(io: I, request: Request<ReplayBody>) -> Result<Response<Incoming>, BoxError>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// Reads a head and a body of its length.
async fn read_request(io: &mut DuplexStream) -> Option<()> {
    let mut request = Vec::new();
    loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
            let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or_default();
            if request.len() >= end + 4 + length {
                return Some(());
            }
        }
        if io.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

// === impl Line ===

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let ended = buf.filled().len() == before && buf.remaining() > 0;
        if ended && self.reset.load(Ordering::SeqCst) {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
