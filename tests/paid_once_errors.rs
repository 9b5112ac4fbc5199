//! Errors of clients and of providers that leave open whether a request was executed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper_util::rt::TokioIo;
use support::{chat_stream, pool, send};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower::{BoxError, Layer, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::{Error, KeyRotationLayer};

/// A connection that takes what is written, and then fails as one does whose packets are refused on their way.
struct Cut {
    kind: io::ErrorKind,
    written: bool,
}

impl AsyncRead for Cut {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.written {
            return Poll::Ready(Err(self.kind.into()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncWrite for Cut {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.written = true;
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Sends a request over a connection that fails when it was written.
async fn over_cut(
    kind: io::ErrorKind,
    request: Request<ReplayBody>,
) -> Result<Response<hyper::body::Incoming>, BoxError> {
    let io = TokioIo::new(Cut { kind, written: false });
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

#[tokio::test]
async fn an_open_connection_may_fail_like_a_refused_one() {
    for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkDown]
    {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let client = service_fn(move |request: Request<ReplayBody>| {
            counted.fetch_add(1, Ordering::Relaxed);
            over_cut(kind, request)
        });
        let service = KeyRotationLayer::new(pool(&["a", "b"])).layer(client);
        let Err(Error::AllKeysFailed(failed)) = send(&service, chat_stream("m")).await else {
            panic!("{kind}")
        };
        assert_eq!((calls.load(Ordering::Relaxed), failed.may_have_run()), (1, true), "{kind}");
    }
}
