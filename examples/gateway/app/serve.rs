//! Connections of callers.

use std::any::Any;
use std::convert::Infallible;
use std::io;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::answer;
use super::front::FrontBody;

/// How long a caller may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long streams may go on after the gateway was told to stop.
const GRACE: Duration = Duration::from_secs(300);

/// A pause after a failed accept, which mostly means that there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Serves until `stop` is done, then lets what is running end. A panic is an answer, and ends nothing else.
pub(crate) async fn serve<A, F>(
    listener: TcpListener,
    answer: A,
    stop: impl Future<Output = ()>,
) -> io::Result<()>
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<FrontBody>> + Send + 'static,
{
    let service = service_fn(move |request| AssertUnwindSafe(answer(request)).catch_unwind().map(caught));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    server.http2().timer(TokioTimer::new());
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = stream else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Only delays, never breaks a connection.
        let _ = stream.set_nodelay(true);
        let connection = server.serve_connection(TokioIo::new(stream), service.clone()).into_owned();
        let connection = connections.watch(connection);
        // How a connection ends is the caller's to judge.
        tokio::spawn(async move { drop(connection.await) });
    }
    drop(listener);
    let ended = timeout(GRACE, connections.shutdown()).await;
    ended.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "streams were still running"))
}

/// What a panic says may hold anything, so it is not passed on.
fn caught(
    answered: Result<Response<FrontBody>, Box<dyn Any + Send>>,
) -> Result<Response<FrontBody>, Infallible> {
    Ok(answered.unwrap_or_else(|_panic| {
        tracing::error!(target: "gateway", "a handler panicked");
        let message = "the gateway failed; its log says where";
        answer::error(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message).map(Either::Right)
    }))
}
