//! WebSockets through the layers, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use futures_util::{SinkExt, StreamExt};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tower::{Layer, ServiceExt};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::{ProviderFallbackLayer, Route};
use tower_key_rotation::provider::{Endpoint, Endpoints};
use tower_key_rotation::{ApiKey, Error, KeyPool, KeyRotationLayer, Provider, Served};
use tower_key_rotation_sim::{Refusal, SimKey, SimServer, Simulator};

type Hyper = Client<HttpConnector, ReplayBody>;

fn client() -> Hyper {
    Client::builder(TokioExecutor::new()).build_http()
}

fn handshake(uri: http::Uri) -> Request<ReplayBody> {
    let request = Request::get(uri)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-foreign")
        .header("sec-websocket-key", generate_key());
    request.body(ReplayBody::empty()).unwrap()
}

/// A provider with these keys, and a pool of them.
async fn provider(keys: &[&str], concurrent: u32) -> (Simulator, SimServer, KeyPool) {
    let sim = Simulator::openai().keys(keys.iter().map(|key| SimKey::new(*key, format!("sk-{key}")))).build();
    let server = sim.serve().await.unwrap();
    let provider = Provider::openai().with_origin(server.origin().parse().unwrap());
    let key = |key: &&str| ApiKey::new(format!("sk-{key}")).unwrap().id(*key).concurrency(concurrent);
    let pool = KeyPool::builder(provider).keys(keys.iter().map(key)).build().unwrap();
    (sim, server, pool)
}

/// Sends a text over the connection of a response, and checks that it comes back.
async fn echoes<B>(response: Response<B>) {
    let connection = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    let mut socket = WebSocketStream::from_raw_socket(connection, Role::Client, None).await;
    assert!(socket.next().await.unwrap().unwrap().to_text().unwrap().contains("session.created"));
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
}

#[tokio::test]
async fn a_handshake_rotates_and_keeps_its_connection() {
    let (sim, server, pool) = provider(&["a", "b"], 8).await;
    sim.key("a").fail(1, Refusal::rate_limited(std::time::Duration::from_secs(20)));
    let layer = KeyRotationLayer::new(pool).layer(client());
    let response = layer.oneshot(handshake(server.uri("/v1/realtime?model=gpt-realtime"))).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["sec-websocket-protocol"]),
        (101, &"realtime".parse().unwrap())
    );
    let served = response.extensions().get::<Served>().unwrap();
    assert_eq!((served.key_id().as_str(), served.attempts().len()), ("b", 1));
    echoes(response).await;
    assert!(sim.log().iter().all(|call| !call.foreign_credentials), "{:?}", sim.log());
}

#[tokio::test]
async fn a_switch_that_was_not_asked_for_is_a_failure() {
    let client = tower::service_fn(|_: Request<ReplayBody>| async {
        Response::builder().status(101).header("upgrade", "websocket").body(ReplayBody::empty())
    });
    let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-a").unwrap()).build().unwrap();
    let layer = KeyRotationLayer::new(pool).layer(client);
    let uri = "https://api.openai.com/v1/chat/completions";
    let error =
        layer.clone().oneshot(Request::post(uri).body(ReplayBody::empty()).unwrap()).await.unwrap_err();
    let Error::AllKeysFailed(failed) = error else { panic!("{error}") };
    assert!(failed.may_have_run());
    let uri = "https://api.openai.com/v1/realtime".parse().unwrap();
    assert_eq!(layer.oneshot(handshake(uri)).await.unwrap().status(), 101);
}

#[tokio::test]
async fn an_open_websocket_holds_its_place() {
    let (_sim, server, pool) = provider(&["a"], 1).await;
    let layer = KeyRotationLayer::new(pool.clone()).layer(client());
    let ask = || layer.clone().oneshot(handshake(server.uri("/v1/realtime?model=gpt-realtime")));
    let mut first = ask().await.unwrap();
    let held = first.extensions_mut().remove::<Served>().unwrap();
    let copy = held.clone();
    let (_, body) = first.into_parts();
    assert!(body.collect().await.unwrap().to_bytes().is_empty(), "the body is over, the connection is not");
    drop(held);
    for _ in 0..2 {
        assert!(matches!(ask().await.unwrap_err(), Error::AllKeysFailed(_)));
    }
    drop(copy);
    let second = ask().await.unwrap();
    assert!(second.extensions().get::<OnUpgrade>().is_some());
    echoes(second).await;
    ask().await.unwrap();
}

#[tokio::test]
async fn a_chain_asks_links_with_websockets_only() {
    let (first_sim, first, first_pool) = provider(&["a"], 8).await;
    let (other_sim, other, other_pool) = provider(&["b"], 8).await;
    let (last_sim, last, last_pool) = provider(&["c"], 8).await;
    first_sim.key("a").revoke();
    let link = |pool: KeyPool| KeyRotationLayer::new(pool).layer(client());
    let route = |server: &SimServer| Route::to(&format!("{}/v1", server.origin())).unwrap();
    let chain = ProviderFallbackLayer::new("first")
        .route(route(&first).endpoints(Endpoints::of(&[Endpoint::Realtime])))
        .fallback(
            "other",
            link(other_pool),
            route(&other).endpoints(Endpoints::COMMON.with(Endpoint::Responses)),
        )
        .fallback("last", link(last_pool), route(&last).endpoints(Endpoints::OPENAI))
        .layer(link(first_pool));
    let ask = |path: &str| chain.clone().oneshot(handshake(first.uri(path)));
    let response = ask("/v1/realtime?model=gpt-realtime").await.unwrap();
    assert_eq!(response.extensions().get::<Served>().unwrap().provider(), "last");
    echoes(response).await;
    let response = ask("/v1/responses").await.unwrap();
    assert_eq!(response.extensions().get::<Served>().unwrap().provider(), "last");
    assert_eq!((first_sim.calls(), other_sim.calls(), last_sim.calls()), (1, 0, 2));
}
