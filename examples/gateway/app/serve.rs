//! Connections of callers.

use std::any::Any;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::response::IntoResponse;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::burst::Burst;
use super::connections::{Connections, Slot};
use super::front::FrontBody;
use super::limits::Limits;
use super::refusal::Refusal;
use super::traffic::{InFlight, Tracked, Traffic, Watched};
use super::{answer, connection};

/// How often an HTTP/2 caller is asked whether it is still there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// A pause after a failed accept, which mostly means that there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What all connections share.
#[derive(Clone)]
struct Server<A> {
    http: auto::Builder<TokioExecutor>,
    answer: A,
    limits: Limits,
    requests: Arc<Requests>,
}

/// Requests in flight.
struct Requests {
    room: Arc<Semaphore>,
    full: Burst,
}

/// Serves until `stop` is done, then lets what is running end within the limit for that. A panic is a response,
/// and ends nothing else. `answer` is given each request and the address that its connection came to.
pub(crate) async fn serve<A, F>(
    listener: TcpListener,
    answer: A,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> io::Result<()>
where
    A: Fn(Request<Incoming>, IpAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<FrontBody>> + Send + 'static,
{
    let server = Server::new(answer, limits);
    let connections = Connections::new(limits.connections);
    let (stopping, stopped) = watch::channel(false);
    let accepting = accept(&listener, &connections, |stream, slot| {
        let _task = tokio::spawn(server.clone().connection(stream, slot, stopped.clone()));
    });
    tokio::select! {
        () = stop => {}
        () = accepting => {}
    }
    drop(listener);
    let _all_may_have_gone = stopping.send(true);
    let ended = timeout(limits.shutdown, connections.ended()).await;
    ended.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "requests were still running"))
}

/// Accepts connections for ever.
async fn accept(listener: &TcpListener, connections: &Arc<Connections>, serve: impl Fn(TcpStream, Slot)) {
    let failures = Burst::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => serve(stream, connections.admit().await),
            Err(error) => {
                if let Some(times) = failures.count() {
                    tracing::warn!(target: "gateway", %error, times, "can't accept connections");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

// === impl Server ===

impl<A, F> Server<A>
where
    A: Fn(Request<Incoming>, IpAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<FrontBody>> + Send + 'static,
{
    fn new(answer: A, limits: Limits) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(limits.head);
        http.http2().timer(TokioTimer::new()).keep_alive_interval(PING.0).keep_alive_timeout(PING.1);
        let room = Arc::new(Semaphore::new(limits.requests as usize));
        Self { http, answer, limits, requests: Arc::new(Requests { room, full: Burst::default() }) }
    }

    async fn connection(self, stream: TcpStream, slot: Slot, stopped: watch::Receiver<bool>) {
        // Only delays, never breaks a connection.
        let _ = stream.set_nodelay(true);
        let Ok(local) = stream.local_addr() else { return };
        let traffic = Arc::clone(&slot.traffic);
        let stream = TokioIo::new(Watched::new(stream, Arc::clone(&traffic)));
        let (http, limits) = (self.http.clone(), self.limits);
        let service = service_fn(move |request| self.request(request, local.ip(), &traffic));
        connection::run(http.serve_connection(stream, service), slot, limits, stopped).await;
    }

    fn request(
        &self,
        request: Request<Incoming>,
        local: IpAddr,
        traffic: &Arc<Traffic>,
    ) -> impl Future<Output = Result<Response<Tracked<FrontBody>>, Infallible>> + Send + use<A, F> {
        let in_flight = self.requests.enter(traffic);
        let answered =
            in_flight.is_ok().then(|| AssertUnwindSafe((self.answer)(request, local)).catch_unwind());
        async move {
            let response = match answered {
                Some(answered) => answered.await.unwrap_or_else(caught),
                None => Refusal::Busy.into_response().map(Either::Right),
            };
            Ok(response.map(|body| Tracked::new(body, in_flight.unwrap_or_else(|refused| refused))))
        }
    }
}

/// The response about a panic. The message of the panic may hold anything, so it is not passed on.
fn caught(_panic: Box<dyn Any + Send>) -> Response<FrontBody> {
    tracing::error!(target: "gateway", "a handler panicked");
    let message = "the gateway failed; its log says where";
    answer::error(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message).map(Either::Right)
}

// === impl Requests ===

impl Requests {
    /// An error, if too many are in flight.
    fn enter(&self, traffic: &Arc<Traffic>) -> Result<InFlight, InFlight> {
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
            return Ok(traffic.request(Some(permit)));
        }
        if let Some(times) = self.full.count() {
            tracing::warn!(target: "gateway", times, "too many requests in flight: refused");
        }
        Err(traffic.request(None))
    }
}
