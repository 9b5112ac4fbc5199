//! An upstream over a raw socket: it reads whole requests, counts them, and plays a script for each.
//!
//! ```no_run
//! // The head of a stream, and then the connection is cut.
//! let upstream = Raw::serving([Step::send(STREAM), Step::Cut]).await;
//! ```
//!
//! A script without [`Cut`](Step::Cut) or [`Reset`](Step::Reset) at its end keeps the connection for another
//! request.

#![allow(dead_code, reason = "no test uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{advance, sleep};

/// The head of an event stream whose length is unknown. Its events are [`chunk`]s.
pub(crate) const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// The end of a body in chunks.
pub(crate) const LAST_CHUNK: &str = "0\r\n\r\n";

/// One action of an upstream.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends nothing for a time.
    Pause(Duration),
    /// Sends nothing more, until the client leaves.
    Stall,
    /// The same on a paused clock that is [held](HeldClock): advances it by a tenth of a second at a time.
    Outlast,
    /// Sends these bytes repeatedly on such a clock, ten times per second, until the client leaves.
    Drip(Vec<u8>),
    /// Closes the connection cleanly.
    Cut,
    /// Aborts the connection.
    Reset,
}

/// An upstream on a loopback port, until it is dropped.
pub(crate) struct Raw {
    port: u16,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    task: tokio::task::JoinHandle<()>,
}

/// Keeps a paused clock from advancing by itself while sockets are awaited, until it is dropped.
pub(crate) struct HeldClock(#[allow(dead_code, reason = "it is dropped")] Sender<()>);

// === impl Step ===

impl Step {
    pub(crate) fn send(bytes: impl AsRef<[u8]>) -> Self {
        Self::Send(bytes.as_ref().to_vec())
    }
}

/// A piece of a body in chunks.
pub(crate) fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// An event of a stream, as a chunk.
pub(crate) fn event(data: &str) -> String {
    chunk(&format!("data: {data}\n\n"))
}

/// A whole JSON response.
pub(crate) fn json(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}

// === impl Raw ===

impl Raw {
    /// Plays one script for every request.
    pub(crate) async fn serving(script: impl IntoIterator<Item = Step>) -> Self {
        Self::each([script.into_iter().collect()]).await
    }

    /// Plays the scripts in order, one per request; the last one for all that follow.
    pub(crate) async fn each(scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let scripts: Arc<Vec<_>> = Arc::new(scripts.into_iter().collect());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::default();
        let task = tokio::spawn(accept(listener, scripts, Arc::clone(&requests)));
        Self { port, requests, task }
    }

    /// Returns an origin where connections are refused.
    pub(crate) fn refused() -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the whole requests that came so far: heads with their bodies.
    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Requests = Arc<Mutex<Vec<Vec<u8>>>>;

async fn accept(listener: TcpListener, scripts: Arc<Vec<Vec<Step>>>, requests: Requests) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(socket, Arc::clone(&scripts), Arc::clone(&requests)));
    }
}

/// Serves a connection until a script or the client ends it.
async fn serve(mut socket: TcpStream, scripts: Arc<Vec<Vec<Step>>>, requests: Requests) {
    while let Some(request) = read_request(&mut socket).await {
        let number = {
            let mut requests = requests.lock().unwrap();
            requests.push(request);
            requests.len()
        };
        let script = scripts.get(number - 1).or_else(|| scripts.last());
        for step in script.into_iter().flatten() {
            if !play(step, &mut socket).await {
                return;
            }
        }
    }
}

/// Returns whether the connection is still usable.
async fn play(step: &Step, socket: &mut TcpStream) -> bool {
    match step {
        Step::Send(bytes) => return socket.write_all(bytes).await.is_ok(),
        Step::Pause(time) => sleep(*time).await,
        Step::Stall => {
            let _ = socket.read(&mut [0; 1]).await;
            return false;
        }
        Step::Outlast => {
            while is_there(socket) {
                tick().await;
            }
            return false;
        }
        Step::Drip(bytes) => {
            while is_there(socket) && socket.write_all(bytes).await.is_ok() {
                tick().await;
            }
            return false;
        }
        Step::Cut => return false,
        Step::Reset => {
            socket.set_zero_linger().unwrap();
            return false;
        }
    }
    true
}

/// Lets other tasks run, and then advances the clock by a tenth of a second.
async fn tick() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    advance(Duration::from_millis(100)).await;
}

/// Returns whether the client is still connected.
fn is_there(socket: &TcpStream) -> bool {
    let read = socket.try_read(&mut [0; 1]);
    matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Reads a head and a body of the stated length, or to its last chunk. `None` if the client has left.
async fn read_request(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if let Some(end) = head_end(&request) {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
            let length: Option<usize> = length.and_then(|length| length.trim().parse().ok());
            let body = &request[end..];
            let is_whole = match length {
                Some(length) => body.len() >= length,
                None => !head.contains("transfer-encoding: chunked") || body.ends_with(LAST_CHUNK.as_bytes()),
            };
            if is_whole {
                return Some(request);
            }
        }
        match socket.read_buf(&mut request).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

fn head_end(request: &[u8]) -> Option<usize> {
    request.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

// === impl HeldClock ===

impl HeldClock {
    /// Holds the clock of a test that `start_paused`.
    pub(crate) fn new() -> Self {
        let (sender, dropped) = channel();
        tokio::task::spawn_blocking(move || dropped.recv());
        Self(sender)
    }
}
