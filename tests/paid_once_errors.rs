//! Errors of clients and of providers that leave open whether a request was executed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use support::{chat_stream, pool, send};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower::{BoxError, Layer, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::{ProviderFallbackLayer, Route};
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

#[tokio::test(start_paused = true)]
async fn an_empty_idempotency_key_names_no_request() {
    for (value, expected) in [("", 1), (" ", 1), ("a1", 2)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let client = service_fn(move |_: Request<ReplayBody>| {
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Err::<Response<Full<Bytes>>, BoxError>("connection lost".into()))
        });
        let mut request = chat_stream("m");
        request.headers_mut().insert("idempotency-key", value.parse().unwrap());
        send(&KeyRotationLayer::new(pool(&["a", "b"])).layer(client), request).await.unwrap_err();
        assert_eq!(calls.load(Ordering::Relaxed), expected, "{value:?}");
    }
}

/// Errors in which a provider says that it got no response, or not in time.
const LATE: [&str; 8] = [
    r#"{"error":{"code":"timeout","message":"Provider timed out"}}"#,
    r#"{"error":{"code":"server_error","message":"Provider disconnected unexpectedly"}}"#,
    r#"{"error":{"type":"server_error","message":"Request timed out."}}"#,
    r#"{"error":"upstream request timeout"}"#,
    r#"{"error":{"code":"ModelTimeoutException","message":"The model did not respond."}}"#,
    r#"{"error":{"type":"request_timeout","message":""}}"#,
    r#"{"error":{"message":"Deadline exceeded while waiting for the backend"}}"#,
    r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"The connection was reset."}}}"#,
];

/// The same, and statuses that say less than their text.
fn late() -> impl Iterator<Item = (u16, &'static str, String)> {
    let events = LATE.iter().map(|data| (200, "text/event-stream", format!("data: {data}\n\n")));
    let bodies = [500, 502, 503]
        .into_iter()
        .flat_map(|status| LATE.iter().map(move |data| (status, "application/json", data.to_string())));
    let envoy =
        "upstream connect error or disconnect/reset before headers. reset reason: connection termination";
    events.chain(bodies).chain([(503, "text/plain", envoy.to_owned())])
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_tells_of_a_timeout_is_called_once() {
    for (status, media, text) in late() {
        let calls = Arc::new(AtomicUsize::new(0));
        let client = || {
            let (counted, text) = (Arc::clone(&calls), text.clone());
            service_fn(move |_: Request<ReplayBody>| {
                counted.fetch_add(1, Ordering::Relaxed);
                let response = Response::builder().status(status).header("content-type", media);
                let body = Full::<Bytes>::from(text.clone());
                async move { Ok::<_, BoxError>(response.body(body)?) }
            })
        };
        let rotation = || KeyRotationLayer::new(pool(&["a", "b"])).layer(client());
        send(&rotation(), chat_stream("m")).await.unwrap_err();
        assert_eq!(calls.swap(0, Ordering::Relaxed), 1, "{status} {text}");
        let layer = ProviderFallbackLayer::new("0").resend_ambiguous(false);
        let chain = layer.fallback("1", rotation(), Route::new()).layer(rotation());
        send(&chain, chat_stream("m")).await.unwrap_err();
        assert_eq!(calls.load(Ordering::Relaxed), 1, "a chain: {status} {text}");
    }
}
