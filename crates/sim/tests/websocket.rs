//! WebSockets of the simulated providers, with a real client.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::Response;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tower_key_rotation_sim::{Refusal, Script, SimKey, SimServer, Simulator};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(server: &SimServer, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{}{path}", server.addr()).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(refusal)) => Err(Response::status(&refusal).as_u16()),
        Err(error) => panic!("no response: {error}"),
    }
}

async fn event(socket: &mut Socket) -> Value {
    serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap()
}

async fn send(socket: &mut Socket, event: Value) {
    socket.send(Message::text(event.to_string())).await.unwrap();
}

#[tokio::test]
async fn a_realtime_session_says_what_it_hears() {
    let sim = Simulator::openai().key(SimKey::new("a", "sk-a")).build();
    let server = sim.serve().await.unwrap();
    let mut socket =
        open(&server, "/v1/realtime?model=gpt-realtime", &[("authorization", "Bearer sk-a")]).await.unwrap();
    let created = event(&mut socket).await;
    assert_eq!(
        (&created["type"], &created["session"]["model"]),
        (&json!("session.created"), &json!("gpt-realtime"))
    );
    let content = json!([{"type": "input_text", "text": "hello"}]);
    let item = json!({"type": "message", "role": "user", "content": content});
    send(&mut socket, json!({"type": "conversation.item.create", "item": item})).await;
    send(&mut socket, json!({"type": "response.create"})).await;
    let mut kinds = Vec::new();
    loop {
        let event = event(&mut socket).await;
        kinds.push(event["type"].as_str().unwrap().to_owned());
        if event["type"] == "response.output_text.delta" {
            assert_eq!(event["delta"], "hello");
        }
        if event["type"] == "response.done" {
            break;
        }
    }
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    assert_eq!((sim.calls(), sim.in_flight()), (1, 1));
    socket.send(Message::text("anything else")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("anything else"));
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    while sim.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn responses_and_live_have_events_of_their_own() {
    let openai = Simulator::openai().key(SimKey::new("a", "sk-a")).build().serve().await.unwrap();
    let key = [("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-a")];
    let mut socket = open(&openai, "/v1/responses", &key).await.unwrap();
    send(&mut socket, json!({"type": "response.create", "model": "gpt-5", "input": "hi"})).await;
    let mut last = event(&mut socket).await;
    while last["type"] != "response.completed" {
        last = event(&mut socket).await;
    }
    assert_eq!(
        (&last["response"]["model"], &last["response"]["output"][0]["content"][0]["text"]),
        (&json!("gpt-5"), &json!("hi"))
    );

    let gemini = Simulator::gemini().key(SimKey::new("a", "AIza-a")).build().serve().await.unwrap();
    let live = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=AIza-a";
    let mut socket = open(&gemini, live, &[]).await.unwrap();
    send(&mut socket, json!({"setup": {"model": "models/gemini-live-2.5-flash"}})).await;
    assert_eq!(event(&mut socket).await, json!({"setupComplete": {}}));
    let turns = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
    for turn in [
        json!({"clientContent": {"turns": turns, "turnComplete": true}}),
        json!({"client_content": {"turns": turns, "turn_complete": true}}),
        json!({"realtimeInput": {"text": "hi"}}),
    ] {
        send(&mut socket, turn).await;
        assert_eq!(event(&mut socket).await["serverContent"]["modelTurn"]["parts"][0]["text"], "hi");
        while event(&mut socket).await["serverContent"]["turnComplete"] != true {}
    }
}

#[tokio::test]
async fn a_handshake_is_refused_like_any_call() {
    let limited = Script::new().then(Refusal::rate_limited(Duration::from_secs(1)).into());
    let sim = Simulator::openai()
        .key(SimKey::new("a", "sk-a").script(limited))
        .key(SimKey::new("b", "sk-b"))
        .build();
    let server = sim.serve().await.unwrap();
    let bearer = |key: &str| format!("Bearer {key}");
    let path = "/v1/realtime?model=gpt-realtime";
    assert_eq!(open(&server, path, &[("authorization", &bearer("sk-a"))]).await.unwrap_err(), 429);
    sim.key("b").revoke();
    assert_eq!(open(&server, path, &[("authorization", &bearer("sk-b"))]).await.unwrap_err(), 401);
    assert_eq!(
        open(&server, "/v1/chat/completions", &[("authorization", &bearer("sk-a"))]).await.unwrap_err(),
        404
    );
    let mut socket = open(&server, path, &[("authorization", &bearer("sk-a"))]).await.unwrap();
    server.shutdown().await;
    let mut last = None;
    while let Some(Ok(message)) = socket.next().await {
        last = Some(message);
    }
    assert!(last.is_some_and(|last| last.is_close()), "the server says goodbye");
}
