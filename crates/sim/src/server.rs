//! The simulator over HTTP on a loopback port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::service::Simulator;

/// Time for which busy connections may go on when the server stops.
const GRACE: Duration = Duration::from_secs(1);

/// Pause after a failed accept. The usual cause is that too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A [`Simulator`] on a loopback port, over HTTP/1 and over HTTP/2 with prior knowledge.
///
/// Returned by [`Simulator::serve`]. Dropping it stops the server: it accepts no further connection, closes
/// idle ones, and cuts busy ones after one second.
///
/// ```
/// use tower_key_rotation_sim::{SimKey, Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let sim = Simulator::openai().key(SimKey::new("a", "sk-a")).build();
/// let server = sim.serve().await?;
/// let uri = server.uri("/v1/chat/completions");
/// assert_eq!(uri.authority().unwrap().as_str(), server.addr().to_string());
/// // Send requests to `uri` with any HTTP client, then look at `sim.log()`.
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
        // The task ends by itself, and a test could do nothing about a panic in it.
        let _ = self.accepting.await;
    }
}

// === impl Simulator ===

impl Simulator {
    /// Serves the provider on a free loopback port until the [`SimServer`] is dropped or shut down.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be bound.
    pub async fn serve(&self) -> io::Result<SimServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, self.clone(), stopped));
        Ok(SimServer { addr, stop, accepting })
    }
}

async fn accept(listener: TcpListener, simulator: Simulator, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = until(&mut stopped) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, simulator.clone(), stopped.clone()));
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

async fn connection(stream: TcpStream, simulator: Simulator, mut stopped: watch::Receiver<bool>) {
    // A failure only adds delay.
    let _ = stream.set_nodelay(true);
    let builder = auto::Builder::new(TokioExecutor::new());
    let service = TowerToHyperService::new(simulator);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
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
