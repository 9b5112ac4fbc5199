//! A chain over real sockets, for faults that depend on sockets: a connection that is reset, a stream that is
//! cut, a silent provider. Everything else is tested on a paused clock.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use support::{key, send, served};
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceBuilder};
use tower_key_rotation::body::{ReplayBody, ResponseBody, StreamError};
use tower_key_rotation::fallback::{ProviderFallback, ProviderFallbackLayer, Route};
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::{Script, SimFault, SimServer, Simulator};

type Hyper = Client<HttpConnector, ReplayBody>;
type Body = ResponseBody<hyper::body::Incoming>;
type Chain = ProviderFallback<KeyRotation<Hyper>, Body>;

const LIMIT: Duration = Duration::from_millis(250);
/// A limit that holds on a machine under any load.
const AT_ALL: Duration = Duration::from_secs(30);

/// Two providers, of which the second serves.
struct Stage {
    first: Simulator,
    second: Simulator,
    chain: Chain,
    _servers: [SimServer; 2],
}

#[tokio::test]
async fn a_reset_connection_costs_one_call() {
    let stage = Stage::new(SimFault::Reset).await;
    for stream in [false, true] {
        let response = timeout(AT_ALL, send(&stage.chain, request(stream))).await.unwrap().unwrap();
        assert_eq!(served(&response).provider(), "second");
        assert!(response.into_body().collect().await.is_ok());
    }
    assert_eq!((stage.first.calls(), stage.second.calls()), (2, 2));
}

#[tokio::test]
async fn a_cut_stream_ends_in_an_error() {
    for reset in [false, true] {
        let stage = Stage::new(SimFault::Cut { after: 3, reset }).await;
        let response = timeout(AT_ALL, send(&stage.chain, request(true))).await.unwrap().unwrap();
        assert_eq!(served(&response).provider(), "first");
        let error = timeout(AT_ALL, response.into_body().collect()).await.unwrap().unwrap_err();
        assert!(error.is::<StreamError>(), "{error}");
        assert_eq!(stage.second.calls(), 0, "a stream that was begun is asked for nowhere else");
    }
}

#[tokio::test]
async fn a_silent_provider_times_out() {
    let stage = Stage::new(SimFault::Silent).await;
    let began = Instant::now();
    let response = timeout(AT_ALL, send(&stage.chain, request(false))).await.unwrap().unwrap();
    assert_eq!(served(&response).provider(), "second");
    assert!(Instant::now().saturating_duration_since(began) >= LIMIT);
    assert_eq!(stage.first.calls(), 1);
}

impl Stage {
    async fn new(fault: SimFault) -> Self {
        let provider = || Simulator::openai().key(key("a"));
        let (first, second) = (provider().script(Script::always(fault)).build(), provider().build());
        let servers = [first.serve().await.unwrap(), second.serve().await.unwrap()];
        let client: Hyper = Client::builder(TokioExecutor::new()).build_http();
        let rotating = |server: &SimServer| {
            let provider = Provider::openai().with_origin(server.origin().parse().unwrap());
            let key = ApiKey::new(support::secret("a")).unwrap().id("a");
            KeyRotationLayer::new(KeyPool::builder(provider).key(key).build().unwrap()).layer(client.clone())
        };
        let to = |server: &SimServer| Route::to(&format!("{}/v1", server.origin())).unwrap();
        let layer = ProviderFallbackLayer::new("first")
            .route(to(&servers[0]))
            .fallback("second", rotating(&servers[1]), to(&servers[1]))
            .head_timeout(LIMIT);
        let chain = ServiceBuilder::new().layer(layer).service(rotating(&servers[0]));
        Self { first, second, chain, _servers: servers }
    }
}

fn request(stream: bool) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#);
    Request::post("http://chain.test/v1/chat/completions").body(Full::from(body)).unwrap()
}
