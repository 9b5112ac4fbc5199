//! Opens a WebSocket with a key of a pool, at a simulated provider that refuses the first key: `cargo run --example
//! websocket`.
//!
//! The client speaks HTTP/1.1, which WebSockets need. `Served` holds the place of the connection in the limits of its key,
//! so the example keeps it as long as the connection.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tower::{BoxError, Layer, ServiceExt};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, Served};
use tower_key_rotation_sim::{Refusal, Script, SimKey, Simulator};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let limited = Script::new().then(Refusal::rate_limited(Duration::from_secs(20)).into());
    let sim = Simulator::openai()
        .key(SimKey::new("one", "sk-one").script(limited))
        .key(SimKey::new("two", "sk-two"));
    let server = sim.build().serve().await?;

    // In place of the simulator: `Provider::openai()`, and a connector with TLS that offers HTTP/1.1 only.
    let provider = Provider::openai().with_origin(server.origin().parse()?);
    let keys = [ApiKey::new("sk-one")?.id("one"), ApiKey::new("sk-two")?.id("two")];
    let pool = KeyPool::builder(provider).keys(keys).build()?;
    let client =
        KeyRotationLayer::new(pool.clone()).layer(Client::builder(TokioExecutor::new()).build_http());

    let request = Request::get(server.uri("/v1/realtime?model=gpt-realtime"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .body(ReplayBody::empty())?;
    let mut response = client.oneshot(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(format!("the handshake was refused: {}", response.status()).into());
    }
    let served = response.extensions_mut().remove::<Served>().ok_or("every response has one")?;
    println!("opened by key {} after {} refusals", served.key_id(), served.attempts().len());

    let connection = TokioIo::new(hyper::upgrade::on(response).await?);
    let mut socket = WebSocketStream::from_raw_socket(connection, Role::Client, None).await;
    socket.send(Message::text(r#"{"type":"response.create"}"#)).await?;
    while let Some(message) = socket.next().await {
        let message = message?.into_text()?;
        println!("{message}");
        if message.contains("response.done") {
            break;
        }
    }
    socket.close(None).await?;
    // The key has room for another request from here on.
    drop(served);
    Ok(())
}
