//! The provider over HTTP on a loopback port.

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

/// How long connections may finish what they are at when the server stops.
const GRACE: Duration = Duration::from_secs(1);

/// A pause after a failed accept, which mostly means that there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A [`Simulator`] on a loopback port, over HTTP/1 and HTTP/2 with prior knowledge.
///
/// Dropping it stops it: no connection is accepted any more, idle ones are closed, busy ones have a
/// second to finish.
#[derive(Debug)]
pub struct SimServer {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

// === impl SimServer ===

impl SimServer {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Scheme, host and port: `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The URI of `path`, which starts with a slash and may have a query.
    ///
    /// # Panics
    ///
    /// If that is no URI.
    #[track_caller]
    pub fn uri(&self, path: &str) -> Uri {
        match Uri::try_from(format!("{}{path}", self.origin())) {
            Ok(uri) => uri,
            Err(error) => panic!("{path:?} is no path: {error}"),
        }
    }

    /// Stops, and waits until every connection is closed: those that are busy after a second are cut.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        // The task ends by itself; that it panicked is nothing a test could act on.
        let _ = self.accepting.await;
    }
}

// === impl Simulator ===

impl Simulator {
    /// Serves the provider on a free loopback port until the server is dropped.
    ///
    /// # Errors
    ///
    /// If no port can be bound.
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
    // Only delays, never breaks a connection.
    let _ = stream.set_nodelay(true);
    let builder = auto::Builder::new(TokioExecutor::new());
    let service = TowerToHyperService::new(simulator);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = until(&mut stopped) => connection.as_mut().graceful_shutdown(),
    }
    // How a connection ends is the client's to judge.
    let _ = connection.await;
}

/// Until the server was stopped or dropped.
async fn until(stopped: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
