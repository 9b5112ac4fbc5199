//! The connection of one side of a tunnel.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::websocket::frames::{Close, Closing, Frames};
use crate::websocket::refused::TunnelKey;
use crate::websocket::traffic::{Side, TunnelTraffic};

/// The connection of one side. Records its traffic.
pub(super) struct Observed {
    io: TokioIo<Upgraded>,
    side: Side,
    traffic: Arc<TunnelTraffic>,
    /// The frames that this side got, up to a close frame.
    frames: Frames,
    closing: Closing,
    /// Close frame that is still to be written.
    unwritten: Vec<u8>,
    /// Whether the end of the connection has begun.
    ends: bool,
    /// The key that opened the tunnel, for close frames to the caller.
    key: TunnelKey,
}

// === impl Observed ===

impl Observed {
    pub(super) fn new(
        connection: Upgraded,
        side: Side,
        traffic: &Arc<TunnelTraffic>,
        key: TunnelKey,
    ) -> Self {
        Self {
            io: TokioIo::new(connection),
            side,
            traffic: Arc::clone(traffic),
            frames: Frames::default(),
            closing: Closing::default(),
            unwritten: Vec::new(),
            ends: false,
            key,
        }
    }

    /// Takes a part of the close frame for the caller. Once it is complete, heeds a refusal, which comes before any data,
    /// and removes the key. Returns the number of bytes; 0 if it had arrived before.
    fn take_close(&mut self, data: &[u8]) -> usize {
        let taken = self.closing.take(data);
        if taken > 0 && self.closing.is_complete() {
            if !self.frames.has_data() {
                self.key.heed(&self.closing.read());
            }
            self.unwritten = self.closing.bytes(|payload| self.key.overwrite(payload));
        }
        taken
    }

    /// Ends the connection with a close frame for a reason of the gateway's.
    pub(super) async fn end(&mut self, error: &'static str) -> io::Result<()> {
        self.set_farewell(1001, reason(error));
        self.shutdown().await
    }

    /// Sets the close frame, unless this side got one, or is within another frame. One that is not complete was not sent.
    fn set_farewell(&mut self, code: u16, reason: &'static str) {
        let is_cut = self.frames.is_closed() && !self.closing.is_complete();
        if self.side == Side::Caller && !self.ends && (is_cut || self.frames.may_add()) {
            self.unwritten = Close::frame(code, reason);
        }
        self.ends = true;
    }

    /// Writes the close frame.
    fn poll_unwritten(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unwritten.is_empty() {
            let written = Pin::new(&mut self.io).poll_write(cx, &self.unwritten);
            match ready!(self.traffic.wrote(self.side, written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => drop(self.unwritten.drain(..written)),
            }
        }
        Poll::Ready(Ok(()))
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
        ready!(self.poll_unwritten(cx))?;
        let mut frames = self.frames.clone();
        let mut plain = frames.see(data);
        if frames.is_closed() && plain == 0 {
            self.traffic.closes();
            self.frames = frames;
            if self.side == Side::Caller {
                // Nothing may follow a close frame, and what does goes no further.
                let taken = self.take_close(data);
                return Poll::Ready(Ok(if taken > 0 { taken } else { data.len() }));
            }
            plain = data.len();
        }
        let written = Pin::new(&mut self.io).poll_write(cx, &data[..plain]);
        if let Poll::Ready(Ok(written)) = &written {
            self.frames.see(&data[..*written]);
        }
        self.traffic.wrote(self.side, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unwritten(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.set_farewell(1011, "the provider ended the connection");
        // An error means that this side has gone.
        let _gone = ready!(self.poll_unwritten(cx));
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
