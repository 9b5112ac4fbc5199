//! A server for a gateway: accepts connections and limits them.

mod connection;
mod connections;
mod limits;
mod tracked;
mod traffic;

use std::any::Any;
use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use self::connections::{Connections, Slot};
use self::limits::Limits;
use self::tracked::Tracked;
use self::traffic::{InFlight, Traffic, Watched};
use crate::gateway::Gateway;
use crate::log_throttle::LogThrottle;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::response::GatewayBody;

/// Maximum size of what one HTTP/1 connection buffers, and of the head of a request (128 KiB). The default of hyper is
/// more than three times as much, and a fast caller fills it.
const BUFFER: usize = 128 * 1024;

/// Interval of HTTP/2 pings, and the maximum time for the caller's reply.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// Pause after a failed accept (10 ms). Most failures mean that the process has too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The parts that all connections share.
#[derive(Clone)]
struct Server {
    http: auto::Builder<TokioExecutor>,
    gateway: Gateway,
    limits: Limits,
    requests: Arc<Requests>,
}

/// The requests in flight.
struct Requests {
    room: Arc<Semaphore>,
    full: LogThrottle,
}

/// Serves a gateway over HTTP/1.1 and HTTP/2, within the limits of the `[server]` table of its configuration.
///
/// Runs until `stop` completes. It then accepts no more connections, and lets requests in flight and WebSockets end
/// within `shutdown_timeout`. WebSockets that are still open shortly before its end are closed. A panic of a request becomes status 500 and ends no other request.
///
/// ```no_run
/// use tokio::net::TcpListener;
/// use tower_key_rotation_gateway::config::Loader;
/// use tower_key_rotation_gateway::{Gateway, Options, serve};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gateway = Gateway::new(Loader::new().load("gateway.toml")?, Options::new());
/// let listener = TcpListener::bind("127.0.0.1:8787").await?;
/// serve(listener, gateway, std::future::pending()).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Returns an error of kind [`TimedOut`](io::ErrorKind::TimedOut) if requests were still in flight when the
/// `shutdown_timeout` was over. An error to accept a connection is logged and does not end the server.
pub async fn serve(
    listener: TcpListener,
    gateway: Gateway,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let limits = Limits::new(gateway.config().server());
    let status = gateway.status().clone();
    gateway.start();
    let server = Server::new(gateway, limits);
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
    status.stop();
    let _no_connection_may_be_left = stopping.send(true);
    let ended = connections.end_within(limits.shutdown).await;
    ended.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "requests were still in flight"))
}

/// Accepts connections without end.
async fn accept(listener: &TcpListener, connections: &Arc<Connections>, serve: impl Fn(TcpStream, Slot)) {
    let failures = LogThrottle::default();
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

impl Server {
    fn new(gateway: Gateway, limits: Limits) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(BUFFER);
        http.http2().timer(TokioTimer::new()).keep_alive_interval(PING.0).keep_alive_timeout(PING.1);
        let room = Arc::new(Semaphore::new(limits.requests as usize));
        Self { http, gateway, limits, requests: Arc::new(Requests { room, full: LogThrottle::default() }) }
    }

    async fn connection(self, stream: TcpStream, slot: Slot, stopped: watch::Receiver<bool>) {
        // Only delays, never breaks a connection.
        let _ = stream.set_nodelay(true);
        let Ok(local) = stream.local_addr() else { return };
        let traffic = Arc::clone(&slot.traffic);
        let stream = TokioIo::new(Watched::new(stream, Arc::clone(&traffic)));
        let (http, limits) = (self.http.clone(), self.limits);
        let service = service_fn(move |request| self.request(request, local.ip(), &traffic));
        connection::run(http.serve_connection_with_upgrades(stream, service), &slot, limits, stopped).await;
        if let Some(tunnel) = slot.traffic.tunnel().cloned() {
            tunnel.attach(slot);
        }
    }

    fn request(
        &self,
        request: Request<Incoming>,
        local: IpAddr,
        traffic: &Arc<Traffic>,
    ) -> impl Future<Output = Result<Response<Tracked<GatewayBody>>, Infallible>> + Send + use<> {
        let (in_flight, version) = (self.requests.enter(traffic), request.version());
        let handled = match &in_flight {
            Ok(_) => AssertUnwindSafe(self.gateway.handle(request, Some(local)))
                .catch_unwind()
                .map(|handled| handled.unwrap_or_else(caught))
                .left_future(),
            Err(_) => ready(self.gateway.refuse(&request, Refusal::Busy)).right_future(),
        };
        // An `async` block would keep the future twice, and hyper moves it.
        handled.map(move |response| {
            Ok(Tracked::response(response, in_flight.unwrap_or_else(|refused| refused), version))
        })
    }
}

/// Returns the response for a panic. The message of a panic may contain a secret, so it is not passed on.
fn caught(_panic: Box<dyn Any + Send>) -> Response<GatewayBody> {
    tracing::error!(target: "gateway", "a handler panicked");
    Reply::default().refuse(Refusal::Failed).map(Either::Right)
}

// === impl Requests ===

impl Requests {
    /// Adds a request. Returns an error if too many are in flight; the request is tracked in both cases.
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
