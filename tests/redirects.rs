//! Keys are not sent elsewhere when a provider, or an impostor, redirects the request.

#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use support::{key, send};
use tower::{BoxError, ServiceBuilder};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::guard::OriginGuardLayer;
use tower_key_rotation::reqwest_client::ReqwestClient;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::{Script, SimFault, SimServer, Simulator};

type Hyper = Client<HttpConnector, ReplayBody>;

struct Lured {
    provider: Provider,
    pool: KeyPool,
    home: SimServer,
    away: Simulator,
    _away_server: SimServer,
}

/// Clients do not know that Anthropic's `x-api-key` is a credential.
async fn lured() -> Lured {
    let away = Simulator::anthropic().key(key("a")).build();
    let away_server = away.serve().await.unwrap();
    let home = Simulator::anthropic()
        .key(key("a"))
        .script(Script::always(SimFault::Redirect(away_server.origin().to_string())))
        .build();
    let home = home.serve().await.unwrap();
    let provider = Provider::anthropic().with_origin(home.origin().parse().unwrap());
    let key = ApiKey::new(support::secret("a")).unwrap();
    let pool = KeyPool::builder(provider.clone()).key(key).build().unwrap();
    Lured { provider, pool, home, away, _away_server: away_server }
}

fn models(home: &SimServer) -> Request<Full<Bytes>> {
    Request::get(home.uri("/v1/models"))
        .header("anthropic-version", "2023-06-01")
        .body(Full::default())
        .unwrap()
}

#[tokio::test]
async fn the_guard_removes_keys_from_redirects() {
    let Lured { provider, pool, home, away, _away_server } = lured().await;
    let client: Hyper = Client::builder(TokioExecutor::new()).build_http();
    let service = ServiceBuilder::new()
        .layer(KeyRotationLayer::new(pool))
        .map_err(BoxError::from)
        .layer(FollowRedirectLayer::new())
        .layer(OriginGuardLayer::new(provider))
        .service(client);
    let _refused_there = send(&service, models(&home)).await;
    assert_eq!(away.unknown_calls().total, 1, "it was followed, without the key");
    assert_eq!(away.key("a").calls(), 0);
}

#[tokio::test]
async fn reqwest_follows_no_redirects() {
    let Lured { pool, home, away, .. } = lured().await;
    let client = ReqwestClient::new(reqwest::Client::builder()).unwrap();
    let service = ServiceBuilder::new().layer(KeyRotationLayer::new(pool)).service(client);
    let response = send(&service, models(&home)).await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(away.calls(), 0);
}
