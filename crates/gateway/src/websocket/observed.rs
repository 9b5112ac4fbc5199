//! The connection of one side of a tunnel.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::websocket::frames::{Close, Frames};
use crate::websocket::refused::TunnelKey;
use crate::websocket::traffic::{Side, TunnelTraffic};

/// The connection of one side. Records its traffic.
pub(super) struct Observed {
    io: TokioIo<Upgraded>,
    side: Side,
    traffic: Arc<TunnelTraffic>,
    /// The frames that the caller got.
    frames: Frames,
    /// The rest of the close frame that ends the connection, once it is decided.
    farewell: Option<Vec<u8>>,
    /// The key that a refusal concerns.
    key: Option<TunnelKey>,
}

// === impl Observed ===

impl Observed {
    pub(super) fn new(connection: Upgraded, side: Side, traffic: &Arc<TunnelTraffic>) -> Self {
        let (frames, traffic) = (Frames::default(), Arc::clone(traffic));
        Self { io: TokioIo::new(connection), side, traffic, frames, farewell: None, key: None }
    }

    /// Sets the key that a refusal by the provider concerns.
    pub(super) fn with_key(mut self, key: Option<TunnelKey>) -> Self {
        self.key = key;
        self
    }

    /// Heeds a close frame before any data, once.
    fn heed_refusal(&mut self) {
        if let Some(refusal) = self.frames.refusal()
            && let Some(key) = self.key.take()
        {
            key.heed(&refusal);
        }
    }

    /// Ends the connection with a close frame for a reason of the gateway's.
    pub(super) async fn end(&mut self, error: &'static str) -> io::Result<()> {
        self.set_farewell(1001, reason(error));
        self.shutdown().await
    }

    /// Sets the close frame, unless this side got one, or is within another frame.
    fn set_farewell(&mut self, code: u16, reason: &'static str) {
        if self.side == Side::Caller && self.farewell.is_none() {
            let frame = self.frames.may_add().then(|| Close::frame(code, reason));
            self.farewell = Some(frame.unwrap_or_default());
        }
    }

    /// Writes the close frame. An error means that the caller has gone.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(rest) = &mut self.farewell else { return Poll::Ready(()) };
        while !rest.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest)) {
                Ok(written) if written > 0 => drop(rest.drain(..written)),
                _ => rest.clear(),
            }
        }
        Poll::Ready(())
    }
}

/// Returns the reason in a close frame.
const fn reason(error: &'static str) -> &'static str {
    match error.as_bytes() {
        b"shutdown" => "the gateway stops: connect again",
        b"idle_timeout" => "the connection was silent for too long",
        _ => "the connection to the provider broke",
    }
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, into))?;
        self.traffic.read(self.side, into.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Observed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, data);
        if let (Poll::Ready(Ok(written)), Side::Caller) = (&written, self.side) {
            self.frames.see(&data[..*written]);
            self.heed_refusal();
        }
        self.traffic.wrote(self.side, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.set_farewell(1011, "the provider ended the connection");
        ready!(self.poll_farewell(cx));
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
