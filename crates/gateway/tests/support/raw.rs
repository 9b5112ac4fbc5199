//! Callers and providers over raw sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A limit that is much longer than any step here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that has sent `text`.
pub(crate) async fn open(to: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Sends `text`, and returns the data that come until the connection is closed.
pub(crate) async fn exchange(to: SocketAddr, text: &str) -> String {
    rest(open(to, text).await).await
}

/// Returns the data that come until the connection is closed. Panics if it is not closed.
pub(crate) async fn rest(mut stream: TcpStream) -> String {
    let mut got = Vec::new();
    // A reset counts as an end too.
    let read = timeout(PATIENCE, stream.read_to_end(&mut got)).await;
    let _ended = read.expect("the connection is closed");
    String::from_utf8_lossy(&got).into_owned()
}

/// Returns the data that come until they contain `text`, or until the connection is closed.
pub(crate) async fn until(mut stream: TcpStream, text: &str) -> String {
    let (mut got, mut piece) = (String::new(), [0; 4096]);
    while !got.contains(text) {
        let read = timeout(PATIENCE, stream.read(&mut piece)).await.expect("the text comes").unwrap_or(0);
        if read == 0 {
            break;
        }
        got += &String::from_utf8_lossy(&piece[..read]);
    }
    got
}

pub(crate) fn status(response: &str) -> u16 {
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no response: {response:?}"))
}

/// Responds to the beginning of every request with these bytes, and leaves the connection open.
pub(crate) async fn upstream(response: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(response.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Responds to every request with an endless stream, as fast as it is read, and signals when the stream is dropped.
pub(crate) async fn flood() -> (SocketAddr, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, given_up) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                pour(stream).await;
                let _test_may_be_over = tell.send(());
            });
        }
    });
    (address, given_up)
}

async fn pour(mut stream: TcpStream) {
    let mut request = [0; 4096];
    let _request = stream.read(&mut request).await;
    let event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"more\"}}]}\n\n".repeat(100);
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut written = stream.write_all(head.as_bytes()).await;
    while written.is_ok() {
        written = stream.write_all(chunk.as_bytes()).await;
    }
}
