//! Real clients over real sockets, against a simulated provider on a loopback port.

#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use support::{all_keys_failed, key, received, send, served, streamed, text};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceBuilder};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::classify::Reason;
use tower_key_rotation::reqwest_client::{ReqwestClient, ReqwestService};
use tower_key_rotation::{Error, KeyPool, KeyRotationLayer, Provider, Served};
use tower_key_rotation_sim::{Limits, Script, SimFault, SimServer, Simulator};

const LABELS: [&str; 4] = ["limited", "revoked", "empty", "good"];

type Hyper = Client<HttpConnector, ReplayBody>;

#[tokio::test]
async fn hyper_works_over_http_1() {
    let client: Hyper = Client::builder(TokioExecutor::new()).build_http();
    rotates(client, Version::HTTP_11).await;
}

#[tokio::test]
async fn hyper_works_over_http_2() {
    let client: Hyper = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    rotates(client, Version::HTTP_2).await;
}

#[tokio::test]
async fn reqwest_works() {
    rotates(ReqwestClient::new(reqwest::Client::builder()).unwrap(), Version::HTTP_11).await;
}

#[tokio::test]
async fn an_existing_reqwest_client_works() {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    rotates(ReqwestClient::from(client), Version::HTTP_11).await;
}

#[tokio::test]
async fn the_types_of_reqwest_are_kept() {
    let (sim, server, pool) = provider().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let rotating = KeyRotationLayer::new(pool).layer(ReqwestClient::from(client.clone()));
    let service = ReqwestService::new(rotating);
    let url = server.uri("/v1/chat/completions").to_string();
    for stream in [false, true] {
        let body = format!(r#"{{"model":"m","stream":{stream},"messages":[]}}"#);
        let request =
            client.post(&url).header("content-type", "application/json").body(body).build().unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!((response.status().as_u16(), response.url().as_str()), (200, url.as_str()));
        assert_eq!(response.extensions().get::<Served>().unwrap().key_id().as_str(), "good");
        let length = response.content_length();
        let body = response.bytes().await.unwrap();
        assert_eq!(length, (!stream).then_some(body.len() as u64));
        assert!(std::str::from_utf8(&body).unwrap().contains(if stream {
            "[DONE]"
        } else {
            "chat.completion"
        }));
    }
    // Errors are those of the layer.
    sim.key("good").fail(1, SimFault::status(429));
    let pieces = futures_util::stream::iter(["{\"model\":\"m\",", "\"messages\":[]}"].map(Ok::<_, BoxError>));
    let request = client.post(&url).body(reqwest::Body::wrap_stream(pieces)).build().unwrap();
    let error = service.clone().oneshot(request).await.unwrap_err();
    assert!(error.is::<Error>(), "{error}");
    let odd = reqwest::Request::new(reqwest::Method::GET, "data:text/plain,x".parse().unwrap());
    service.oneshot(odd).await.unwrap_err();
}

#[tokio::test]
async fn a_boxed_client_works() {
    let client: Hyper = Client::builder(TokioExecutor::new()).build_http();
    let boxed: BoxCloneSyncService<Request<ReplayBody>, _, BoxError> =
        ServiceBuilder::new().boxed_clone_sync().map_err(BoxError::from).service(client);
    rotates(boxed, Version::HTTP_11).await;
}

#[tokio::test]
async fn nested_layers_keep_the_body() {
    let (_sim, server, pool) = provider().await;
    let client: Hyper = Client::builder(TokioExecutor::new()).build_http();
    let inner = KeyRotationLayer::new(pool).layer(client);
    let body = ReplayBody::new(streamed(&["{\"model\":\"m\",", "\"messages\":[]}"]), 1_000).await;
    let request = Request::post(server.uri("/v1/chat/completions")).body(body.clone()).unwrap();
    let response = send(&inner, request).await.unwrap();
    assert_eq!(served(&response).key_id().as_str(), "good");
    assert_eq!(received(body).await.unwrap(), "{\"model\":\"m\",\"messages\":[]}");
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let at = |origin: &str| {
        let provider = Provider::openai().with_origin(origin.parse().unwrap());
        let key = tower_key_rotation::ApiKey::new(support::secret("a")).unwrap();
        KeyPool::builder(provider).key(key).build().unwrap()
    };
    let hyper: Hyper = Client::builder(TokioExecutor::new()).build_http();
    let reqwest = ReqwestClient::new(reqwest::Client::builder()).unwrap();
    let request =
        || Request::post(format!("{origin}/v1/chat/completions")).body(Full::<Bytes>::default()).unwrap();
    let layer = || KeyRotationLayer::new(at(&origin)).backoff(Duration::ZERO, Duration::ZERO);
    let by_hyper = all_keys_failed(send(&layer().layer(hyper), request()).await.unwrap_err());
    let by_reqwest = all_keys_failed(send(&layer().layer(reqwest), request()).await.unwrap_err());
    for failed in [by_hyper, by_reqwest] {
        assert_eq!(failed.attempts().len(), 2, "sent again, since it never left: {failed}");
        assert!(failed.attempts().iter().all(|attempt| attempt.fault.reason() == Reason::Unreachable));
        assert!(failed.attempts().iter().all(|attempt| !attempt.fault.may_have_run()));
    }
}

#[tokio::test]
async fn a_written_request_is_not_sent_twice() {
    let (sim, server, pool) = provider().await;
    sim.script(Script::always(SimFault::Reset));
    let client: Hyper = Client::builder(TokioExecutor::new()).build_http();
    let service = KeyRotationLayer::new(pool).layer(client);
    let failed = all_keys_failed(send(&service, chat(&server, false)).await.unwrap_err());
    assert_eq!(failed.last_reason(), Some(Reason::Unreachable));
    assert!(failed.attempts()[0].fault.may_have_run());
    assert_eq!(sim.calls(), 1);
}

/// Rotates past three bad keys, streaming and not, and then with many requests at once.
async fn rotates<S, B>(client: S, version: Version)
where
    S: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (sim, server, pool) = provider().await;
    let service = KeyRotationLayer::new(pool).layer(client);
    for stream in [false, true, true, false] {
        let response = send(&service, chat(&server, stream)).await.unwrap();
        assert_eq!(response.version(), version);
        assert_eq!(served(&response).key_id().as_str(), "good");
        let body = text(response).await;
        assert!(body.contains(if stream { "data: [DONE]" } else { "chat.completion" }), "{body}");
    }
    for label in &LABELS[..3] {
        assert_eq!(sim.key(label).calls(), 1, "{label}");
    }
    let many = (0..100).map(|number| send(&service, chat(&server, number % 2 == 0)));
    let answers: Vec<Result<_, Error>> = futures_util::future::join_all(many).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status().is_success()));
    assert!(sim.log().iter().all(|call| call.body_complete && !call.foreign_credentials));
}

async fn provider() -> (Simulator, SimServer, KeyPool) {
    let sim = Simulator::openai()
        .key(key("limited").script(Script::always(SimFault::rate_limited(Duration::from_secs(60)))))
        .key(key("revoked").revoked())
        .key(key("empty").out_of_credit())
        .key(key("good").limits(Limits::new().requests_per_second(10_000).burst(10_000)))
        .build();
    let server = sim.serve().await.unwrap();
    let provider = Provider::openai().with_origin(server.origin().parse().unwrap());
    let keys = LABELS.map(|label| tower_key_rotation::ApiKey::new(support::secret(label)).unwrap().id(label));
    let pool = KeyPool::builder(provider).keys(keys).build().unwrap();
    (sim, server, pool)
}

fn chat(server: &SimServer, stream: bool) -> Request<Full<Bytes>> {
    let body = format!(r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#);
    Request::post(server.uri("/v1/chat/completions")).body(Full::from(body)).unwrap()
}
