//! The chat app of the examples, over sockets: its replies, streams, cache and errors.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "../examples/axum_chat/app.rs"]
mod app;
#[path = "../examples/axum_chat/chat.rs"]
mod chat;
#[path = "../examples/axum_chat/embeddings.rs"]
mod embeddings;
#[path = "../examples/axum_chat/errors.rs"]
mod errors;
#[path = "../examples/axum_chat/providers.rs"]
#[allow(dead_code, reason = "the tests have providers of their own")]
mod providers;
#[path = "../examples/axum_chat/stream.rs"]
mod stream;
#[path = "../examples/axum_chat/ws.rs"]
mod ws;

use std::net::{Ipv4Addr, SocketAddr};

use axum::body::Body;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use providers::Providers;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{connect_async, tungstenite};
use tower_key_rotation::fallback::Route;
use tower_key_rotation::pool::UsageSnapshot;
use tower_key_rotation::{ApiKey, KeyPool, Provider};
use tower_key_rotation_sim::{Script, SimFault, SimKey, SimServer, Simulator};

const MARKER: &str = "tkrmarker";

/// The app on a port of its own, over three simulated providers with the keys `a` and `b`.
struct App {
    address: SocketAddr,
    sims: [Simulator; 3],
    pools: Vec<KeyPool>,
    _servers: Vec<SimServer>,
}

impl App {
    async fn start() -> Self {
        let keys = || ["a", "b"].map(|id| SimKey::new(id, secret(id)));
        let sims = [Simulator::openai(), Simulator::anthropic(), Simulator::gemini()];
        let sims = sims.map(|sim| sim.keys(keys()).words(4).build());
        let known = [Provider::openai(), Provider::anthropic(), Provider::gemini()];
        let (mut links, mut servers) = (Vec::new(), Vec::new());
        for ((sim, provider), path) in sims.iter().zip(known).zip(["/v1", "/v1", "/v1beta/openai"]) {
            let server = sim.serve().await.unwrap();
            let provider = provider.with_origin(server.origin().parse().unwrap());
            let keys = ["a", "b"].map(|id| ApiKey::new(secret(id)).unwrap().id(id));
            links.push((provider, Route::to(&(server.origin() + path)).unwrap(), keys.into()));
            servers.push(server);
        }
        let providers = Providers::new(links).unwrap();
        let pools = providers.pools.clone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app::router(providers)).await });
        Self { address, sims, pools, _servers: servers }
    }

    async fn send(&self, request: http::request::Builder, path: &str, body: Body) -> Response<Incoming> {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = request.uri(format!("http://{}{path}", self.address)).body(body).unwrap();
        client.request(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response<Incoming> {
        self.send(Request::get("/"), path, Body::empty()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Response<Incoming> {
        let request = Request::post("/").header("content-type", "application/json");
        self.send(request, path, Body::from(body.to_string())).await
    }

    fn calls(&self) -> [u64; 3] {
        self.sims.each_ref().map(Simulator::calls)
    }

    /// What the keys have used: calls and tokens. Limits fill up again by themselves, so they are left out.
    fn used(&self) -> Vec<(u64, UsageSnapshot)> {
        let keys = self.pools.iter().flat_map(|pool| pool.snapshot().keys);
        keys.map(|key| (key.calls, key.usage)).collect()
    }

    fn fail_all(&self, fault: &SimFault) {
        self.sims.iter().for_each(|sim| sim.script(Script::always(fault.clone())));
    }

    async fn socket(&self, origin: &str) -> Result<Socket, WsError> {
        let mut request = format!("ws://{}/api/chat/ws", self.address).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        connect_async(request).await.map(|(socket, _)| socket)
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

fn secret(id: &str) -> String {
    format!("sk-{MARKER}-{id}")
}

fn hello(model: Option<&str>) -> Value {
    json!({ "messages": [{ "role": "user", "content": "Say hello." }], "model": model })
}

async fn json_of(response: Response<Incoming>) -> Value {
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&text).contains(MARKER), "no output has a key");
    serde_json::from_slice(&text).unwrap_or_else(|_| panic!("no JSON: {text:?}"))
}

async fn problem(response: Response<Incoming>) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let status = response.status().as_u16();
    let problem = json_of(response).await;
    assert_eq!(problem["status"], status);
    problem
}

/// The pieces of an event stream, each with the number of chunks read until then.
async fn pieces(response: Response<Incoming>) -> Vec<(usize, Value)> {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (mut body, mut text, mut chunks, mut pieces) = (response.into_body(), String::new(), 0, Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.unwrap().into_data() else { continue };
        text.push_str(std::str::from_utf8(&data).unwrap());
        chunks += 1;
        while let Some((event, rest)) = text.split_once("\n\n") {
            let data = event.lines().find_map(|line| line.strip_prefix("data:"));
            pieces.extend(data.map(|data| (chunks, serde_json::from_str(data).unwrap())));
            text = rest.to_owned();
        }
    }
    pieces
}

async fn message(socket: &mut Socket) -> Value {
    match socket.next().await.unwrap().unwrap() {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

// === replies ===

#[tokio::test]
async fn a_chat_without_a_model_starts_at_the_providers_in_turn() {
    let app = App::start().await;
    for number in 0..6 {
        let body = json!({ "messages": [{ "role": "user", "content": number.to_string() }] });
        let response = app.post("/api/chat", &body).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!json_of(response).await["text"].as_str().unwrap().is_empty());
    }
    assert_eq!(app.calls(), [2, 2, 2]);
}

#[tokio::test]
async fn a_chat_without_a_model_goes_down_the_chain() {
    let app = App::start().await;
    app.sims[0].script(Script::always(SimFault::status(503)));
    app.sims[1].script(Script::always(SimFault::status(503)));
    let reply = json_of(app.post("/api/chat", &hello(None)).await).await;
    assert_eq!(reply["provider"], "gemini");
    assert!(reply["failed_attempts"].as_u64().unwrap() >= 2, "{reply}");
}

#[tokio::test]
async fn a_named_model_stays_with_the_keys_of_its_provider() {
    let app = App::start().await;
    app.sims[1].key("a").revoke();
    for text in ["one", "two"] {
        let body = json!({ "model": "claude-sonnet-4-5", "messages": [{ "role": "user", "content": text }] });
        let reply = json_of(app.post("/api/chat", &body).await).await;
        assert_eq!((&reply["provider"], &reply["key"]), (&json!("anthropic"), &json!("b")));
    }
    assert_eq!((app.calls()[0], app.calls()[2]), (0, 0));
}

#[tokio::test]
async fn embeddings_use_the_pool_of_chats() {
    let app = App::start().await;
    let response = app.post("/api/embeddings", &json!({ "input": "hello" })).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(json_of(response).await["data"][0]["embedding"].is_array());
    assert_eq!(app.calls(), [1, 0, 0]);
    app.post("/api/chat", &hello(Some("gpt-4o"))).await;
    let calls: u64 = app.pools[0].snapshot().keys.iter().map(|key| key.calls).sum();
    assert_eq!(calls, 2, "one pool counts both");
}

#[tokio::test]
async fn a_list_of_texts_is_embedded() {
    let app = App::start().await;
    let response = app.post("/api/embeddings", &json!({ "input": ["one", "two"] })).await;
    assert_eq!(json_of(response).await["data"].as_array().map(Vec::len), Some(2));
}

// === streams ===

#[tokio::test]
async fn a_stream_arrives_event_by_event() {
    let app = App::start().await;
    let response = app.post("/api/chat/stream", &hello(None)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let pieces = pieces(response).await;
    let (_, last) = pieces.last().unwrap();
    assert_eq!(last["event"], "done");
    let texts: Vec<_> = pieces.iter().filter(|(_, piece)| piece["event"] == "text").collect();
    let whole: String = texts.iter().map(|(_, piece)| piece["data"].as_str().unwrap()).collect();
    assert!(texts.len() >= 4, "{pieces:?}");
    assert_eq!(last["data"]["text"], whole);
    assert_eq!(last["data"]["provider"], "openai");
}

#[tokio::test]
async fn the_first_event_does_not_wait_for_the_last() {
    let app = App::start().await;
    app.sims[0].script(Script::always(SimFault::Stall { after: 2 }));
    let response = app.post("/api/chat/stream", &hello(Some("gpt-4o"))).await;
    let (mut body, mut text) = (response.into_body(), String::new());
    while text.matches("data:").count() < 2 {
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap_or_default();
        text.push_str(std::str::from_utf8(&data).unwrap());
    }
    assert!(!text.contains("done"), "the provider has not sent the rest: {text}");
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_the_key() {
    let app = App::start().await;
    app.sims[0].script(Script::always(SimFault::Stall { after: 2 }));
    let response = app.post("/api/chat/stream", &hello(Some("gpt-4o"))).await;
    let in_flight = || app.pools[0].snapshot().keys.iter().map(|key| key.in_flight).sum::<u64>();
    assert_eq!(in_flight(), 1);
    drop(response);
    while in_flight() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_a_failed_event_and_is_not_cached() {
    let app = App::start().await;
    app.sims[0].script(Script::new().then(SimFault::Cut { after: 2, reset: true }));
    let broken = pieces(app.post("/api/chat/stream", &hello(Some("gpt-4o"))).await).await;
    assert_eq!(broken.last().unwrap().1["event"], "failed", "{broken:?}");
    let whole = pieces(app.post("/api/chat/stream", &hello(Some("gpt-4o"))).await).await;
    assert_eq!(whole.last().unwrap().1["event"], "done", "{whole:?}");
}

// === WebSocket ===

#[tokio::test]
async fn a_socket_serves_one_request_after_another() {
    let app = App::start().await;
    let mut socket = app.socket(&format!("http://{}", app.address)).await.unwrap();
    for model in ["gpt-4o", "gemini-2.5-flash"] {
        socket.send(Message::text(hello(Some(model)).to_string())).await.unwrap();
        let mut text = String::new();
        let done = loop {
            let piece = message(&mut socket).await;
            match piece["event"].as_str() {
                Some("text") => text.push_str(piece["data"].as_str().unwrap()),
                _ => break piece,
            }
        };
        assert_eq!((&done["event"], &done["data"]["text"]), (&json!("done"), &json!(text)));
    }
    assert_eq!(app.calls(), [1, 0, 1]);
}

#[tokio::test]
async fn a_socket_survives_a_message_that_is_no_request() {
    let app = App::start().await;
    let mut socket = app.socket(&format!("http://{}", app.address)).await.unwrap();
    socket.send(Message::text("hello?")).await.unwrap();
    let failed = message(&mut socket).await;
    assert_eq!((&failed["event"], &failed["data"]["status"]), (&json!("failed"), &json!(400)));
    socket.send(Message::text(hello(None).to_string())).await.unwrap();
    assert_eq!(message(&mut socket).await["event"], "text");
}

#[tokio::test]
async fn a_page_of_another_host_can_not_connect() {
    let app = App::start().await;
    let refused = app.socket("https://elsewhere.example").await;
    assert!(matches!(refused, Err(tungstenite::Error::Http(ref it)) if it.status() == 400), "{refused:?}");
}

// === the cache ===

#[tokio::test]
async fn a_hit_uses_no_quota() {
    let app = App::start().await;
    let first = app.post("/api/chat", &hello(None)).await;
    assert_eq!(first.headers()["x-cache"], "miss");
    let first = json_of(first).await;
    let (used, calls) = (app.used(), app.calls());
    for _ in 0..3 {
        let hit = app.post("/api/chat", &hello(None)).await;
        assert_eq!(hit.headers()["x-cache"], "hit");
        assert_eq!(json_of(hit).await, first);
    }
    let streamed = pieces(app.post("/api/chat/stream", &hello(None)).await).await;
    assert_eq!(streamed.last().unwrap().1["data"], first);
    assert_eq!((app.used(), app.calls()), (used, calls));
}

#[tokio::test]
async fn a_whole_stream_is_cached_too() {
    let app = App::start().await;
    pieces(app.post("/api/chat/stream", &hello(None)).await).await;
    assert_eq!(app.post("/api/chat", &hello(None)).await.headers()["x-cache"], "hit");
    assert_eq!(app.calls(), [1, 0, 0]);
}

#[tokio::test]
async fn equal_requests_at_the_same_time_cost_one_call() {
    let app = App::start().await;
    let body = hello(None);
    let all = futures_util::future::join_all((0..8).map(|_| app.post("/api/chat", &body))).await;
    assert!(all.iter().all(|response| response.status() == StatusCode::OK));
    assert_eq!(app.calls().iter().sum::<u64>(), 1);
}

#[tokio::test]
async fn other_messages_or_models_are_other_entries() {
    let app = App::start().await;
    for body in [hello(None), hello(Some("gpt-4o")), hello(Some("gpt-4o-mini"))] {
        assert_eq!(app.post("/api/chat", &body).await.headers()["x-cache"], "miss");
    }
}

// === problems ===

#[tokio::test]
async fn revoked_keys_of_a_named_model_are_a_problem_with_each_attempt() {
    let app = App::start().await;
    ["a", "b"].into_iter().for_each(|id| app.sims[0].key(id).revoke());
    for path in ["/api/chat", "/api/chat/stream"] {
        let response = app.post(path, &hello(Some("gpt-4o"))).await;
        assert!(response.status().is_server_error(), "{}", response.status());
        let problem = problem(response).await;
        assert_eq!(problem["type"], "/problems/all-keys-failed");
        let attempts = problem["attempts"].as_array().unwrap();
        let keys: Vec<_> = attempts.iter().map(|it| it["key"].as_str().unwrap()).collect();
        if path == "/api/chat" {
            assert_eq!(keys.len(), 2, "{problem:#}");
            assert!(attempts.iter().all(|it| it["reason"] == "invalid_key" && it["status"] == 401));
        }
    }
    assert_eq!((app.calls()[1], app.calls()[2]), (0, 0));
}

#[tokio::test]
async fn all_providers_down_are_a_problem_with_each_attempt() {
    let app = App::start().await;
    app.fail_all(&SimFault::status(503));
    let response = app.post("/api/chat", &hello(None)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem = problem(response).await;
    assert_eq!(problem["type"], "/problems/all-providers-failed");
    let names: std::collections::BTreeSet<_> =
        problem["attempts"].as_array().unwrap().iter().map(|it| it["provider"].as_str().unwrap()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["anthropic", "gemini", "openai"]);
}

#[tokio::test]
async fn limited_keys_say_when_to_come_back() {
    let app = App::start().await;
    let hour = std::time::Duration::from_secs(500);
    app.fail_all(&SimFault::rate_limited(hour));
    let response = app.post("/api/embeddings", &json!({ "input": "hello" })).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((490..=501).contains(&wait), "{wait}");
    assert_eq!(problem(response).await["retry_after"], wait);
}

#[tokio::test]
async fn an_error_is_not_cached() {
    let app = App::start().await;
    app.fail_all(&SimFault::status(503));
    assert_eq!(app.post("/api/chat", &hello(None)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    app.sims.iter().for_each(Simulator::heal);
    assert_eq!(app.post("/api/chat", &hello(None)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_model_of_no_provider_is_a_bad_request() {
    let app = App::start().await;
    let response = app.post("/api/chat", &hello(Some("mystery-1"))).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(problem(response).await["type"], "/problems/bad-request");
    assert_eq!(app.calls(), [0, 0, 0]);
}

#[tokio::test]
async fn a_request_that_the_provider_refuses_is_not_sent_again() {
    let app = App::start().await;
    app.fail_all(&SimFault::status(400));
    let response = app.post("/api/chat", &hello(None)).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(problem(response).await["type"], "/problems/refused");
    assert_eq!(app.calls().iter().sum::<u64>(), 1);
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused() {
    let app = App::start().await;
    assert!(app.post("/api/chat", &json!({ "model": "gpt-4o" })).await.status().is_client_error());
    assert_eq!(app.calls(), [0, 0, 0]);
}

// === pages ===

#[tokio::test]
async fn the_page_loads_nothing_from_other_hosts() {
    let app = App::start().await;
    let response = app.get("/").await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let page = response.into_body().collect().await.unwrap().to_bytes();
    let page = std::str::from_utf8(&page).unwrap();
    assert!(!page.contains("://") || page.matches("://").count() == 1, "only the socket has a URL");
    assert!(page.contains("color-scheme: light dark"));
}

#[tokio::test]
async fn the_status_is_mounted() {
    let app = App::start().await;
    app.post("/api/chat", &hello(Some("gpt-4o"))).await;
    for path in ["/status", "/status/", "/status/health", "/status/status", "/status/api/history"] {
        assert_eq!(app.get(path).await.status(), StatusCode::OK, "{path}");
    }
    let keys = json_of(app.get("/status/api/key-status").await).await;
    assert!(keys.to_string().contains("\"a\""), "{keys}");
}
