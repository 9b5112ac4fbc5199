//! A provider of WebSockets that does one thing for each key, and clients of the gateway's.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message as AxumMessage, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Response};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::support::stub::{StubCall, by_word, key};

/// A limit that is much longer than any step here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Largest message (64 MiB).
const LARGEST: usize = 64 << 20;

pub(crate) type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A provider, and the handshakes that it got: the key, the URI and the headers.
#[derive(Clone)]
pub(crate) struct Sockets {
    pub(crate) address: SocketAddr,
    handshakes: Arc<Mutex<Vec<(String, String, HeaderMap)>>>,
}

// === impl Sockets ===

impl Sockets {
    /// A provider whose WebSockets follow from the first word of the key: `echo` sends back what it gets, `cut` ends
    /// without a close frame, `flood` sends without end, `deaf` does not read, `spent` refuses by a close frame after the
    /// first message, `shows` by one with the key, and any other word refuses as [`by_word`] does.
    pub(crate) async fn start() -> Self {
        let handshakes = Arc::<Mutex<Vec<_>>>::default();
        let kept = Arc::clone(&handshakes);
        let router = Router::new().fallback(move |request: Request| {
            let kept = Arc::clone(&kept);
            async move {
                let (mut head, _) = request.into_parts();
                let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
                let key = key(&head.headers);
                kept.lock().unwrap_or_else(PoisonError::into_inner).push((
                    key.clone(),
                    path.clone(),
                    head.headers.clone(),
                ));
                let upgrade = WebSocketUpgrade::from_request_parts(&mut head, &()).await;
                match (upgrade, key.split('-').next().unwrap_or_default().to_owned()) {
                    (Ok(upgrade), word)
                        if ["echo", "cut", "flood", "deaf", "spent", "shows"].contains(&&*word) =>
                    {
                        let upgrade = upgrade.max_message_size(LARGEST).max_frame_size(LARGEST);
                        let upgrade = upgrade.protocols(["realtime"]);
                        upgrade.on_upgrade(move |socket| behave(socket, word, key))
                    }
                    _ => {
                        let (method, headers) = (head.method.to_string(), head.headers);
                        by_word(&StubCall { key, method, path, headers, body: Default::default() })
                    }
                }
            }
        });
        Self { address: crate::support::serve(router).await, handshakes }
    }

    /// The handshakes so far. Forgets them.
    pub(crate) fn handshakes(&self) -> Vec<(String, String, HeaderMap)> {
        std::mem::take(&mut self.handshakes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn behave(mut socket: WebSocket, word: String, key: String) {
    match &*word {
        "shows" => {
            let reason = format!("invalid key {key}-0123456789").into();
            drop(socket.send(AxumMessage::Close(Some(CloseFrame { code: 1008, reason }))).await);
            while socket.recv().await.is_some() {}
        }
        "cut" => drop(socket.recv().await),
        "spent" => {
            drop(socket.recv().await);
            let reason = "You exceeded your current quota, please check your plan and billing details.";
            let close = CloseFrame { code: 1011, reason: reason.into() };
            drop(socket.send(AxumMessage::Close(Some(close))).await);
            while socket.recv().await.is_some() {}
        }
        "deaf" => std::future::pending().await,
        "flood" => while socket.send(AxumMessage::Binary(vec![0; 65_536].into())).await.is_ok() {},
        _ => {
            while let Some(Ok(message)) = socket.recv().await {
                let is_data = matches!(message, AxumMessage::Text(_) | AxumMessage::Binary(_));
                if is_data && socket.send(message).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Opens a WebSocket at the gateway. Returns the refusal if it is refused.
pub(crate) async fn connect(
    to: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Client, Response<()>), Response<Option<Vec<u8>>>> {
    let mut request = format!("ws://{to}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    match timeout(PATIENCE, connect_async_with_config(request, Some(config), true)).await.unwrap() {
        Ok((client, response)) => Ok((client, response.map(drop))),
        Err(Error::Http(refusal)) => Err(*refusal),
        Err(error) => panic!("no response: {error}"),
    }
}

/// Sends a text, and returns the next message.
pub(crate) async fn ask(client: &mut Client, text: &str) -> String {
    client.send(Message::text(text)).await.unwrap();
    next(client).await.expect("a response").into_text().unwrap().to_string()
}

/// Returns the next message; `None` if the connection ends without one.
pub(crate) async fn next(client: &mut Client) -> Option<Message> {
    timeout(PATIENCE, client.next()).await.expect("it does not hang")?.ok()
}

/// Returns the code of the close frame with which the connection ends.
pub(crate) async fn close_code(client: &mut Client) -> Option<u16> {
    while let Some(message) = next(client).await {
        if let Message::Close(close) = message {
            return Some(close?.code.into());
        }
    }
    None
}

/// Waits until the connection has ended. Returns the number of messages before.
pub(crate) async fn ended(client: &mut Client) -> usize {
    let mut messages = 0;
    while next(client).await.is_some_and(|message| !message.is_close()) {
        messages += 1;
    }
    messages
}

/// The body of a refusal.
pub(crate) fn told(refusal: &Response<Option<Vec<u8>>>) -> String {
    String::from_utf8_lossy(refusal.body().as_deref().unwrap_or_default()).into_owned()
}
