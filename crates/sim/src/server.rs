//! A server of the simulator on a loopback port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Uri};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::call::{SimFuture, Stopped};
use crate::state::Shared;

/// Time for which busy connections may go on when the server stops.
const GRACE: Duration = Duration::from_secs(1);

/// Pause after a failed accept. The usual cause is that too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A [`Simulator`](crate::Simulator) on a loopback port, over HTTP/1 and over HTTP/2 with prior knowledge.
///
/// Returned by [`Simulator::serve`](crate::Simulator::serve). Dropping it stops the server: it accepts no
/// further connection, closes idle ones, and cuts busy ones after one second.
///
/// ```
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::TcpStream;
/// use tower_key_rotation_sim::{SimKey, Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let sim = Simulator::openai().key(SimKey::new("a", "sk-a")).build();
/// let server = sim.serve().await?;
///
/// // Any HTTP client can call it. This one writes to the socket itself.
/// let mut socket = TcpStream::connect(server.addr()).await?;
/// let body = r#"{"model":"gpt-4o","messages":[]}"#;
/// let head = format!(
///     "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\
///      authorization: Bearer sk-a\r\ncontent-length: {}\r\n\r\n",
///     body.len(),
/// );
/// socket.write_all((head + body).as_bytes()).await?;
/// let mut response = String::new();
/// socket.read_to_string(&mut response).await?;
/// assert!(response.starts_with("HTTP/1.1 200 OK"));
/// assert_eq!(sim.key("a").calls(), 1);
///
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SimServer {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

// === impl SimServer ===

impl SimServer {
    /// Serves the provider on a free loopback port.
    pub(crate) async fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, shared, stopped));
        Ok(Self { addr, stop, accepting })
    }

    /// Returns the address on which the server listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns scheme, host and port: `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Returns the URI of `path`, which starts with a slash and may have a query.
    ///
    /// # Panics
    ///
    /// Panics if the result is not a valid URI.
    #[track_caller]
    pub fn uri(&self, path: &str) -> Uri {
        match Uri::try_from(format!("{}{path}", self.origin())) {
            Ok(uri) => uri,
            Err(error) => panic!("{path:?} is no path: {error}"),
        }
    }

    /// Stops the server and waits until every connection is closed. Connections that are still busy after one
    /// second are cut.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        // The task ends by itself. A test cannot react to a panic in it.
        let _ = self.accepting.await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = until(&mut stopped) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, shared.clone(), stopped.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        connections.shutdown().await;
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    // A failure only adds delay.
    let _ = stream.set_nodelay(true);
    let builder = auto::Builder::new(TokioExecutor::new());
    let stopping = Stopped(stopped.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(stopping.clone());
        SimFuture::new(shared.clone(), request)
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = until(&mut stopped) => connection.as_mut().graceful_shutdown(),
    }
    // The client decides whether the end of a connection is an error.
    let _ = connection.await;
}

/// Waits until the server is stopped or dropped.
async fn until(stopped: &mut watch::Receiver<bool>) {
    // An error means that the sender, and so the server, is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
