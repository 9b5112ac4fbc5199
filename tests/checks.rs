//! Checks of keys: over sockets, against simulated providers and a server that serves every caller.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request as AxumRequest;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use support::{MARKER, chat, key, openai, rotating, secret, send};
use tokio::net::TcpListener;
use tower::service_fn;
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::check::{CheckResult, KeyCheck, KeyChecks};
use tower_key_rotation::event::{EventKind, Subscription};
use tower_key_rotation::key::{Credential, Secret, SecretSource};
use tower_key_rotation::limits::Quota;
use tower_key_rotation::pool::{KeySnapshot, KeyState};
use tower_key_rotation::{ApiKey, KeyPool, Provider};
use tower_key_rotation_sim::{Refusal, Script, SimFault, SimServer, Simulator};

type Hyper = Client<HttpConnector, ReplayBody>;

/// A simulated OpenAI with the keys `a` and `b`, its server, and a pool of both keys.
struct Stage {
    sim: Simulator,
    server: SimServer,
    pool: KeyPool,
}

impl Stage {
    async fn start() -> Self {
        let sim = openai([key("a"), key("b")]);
        let server = sim.serve().await.unwrap();
        let provider = Provider::openai().with_origin(server.origin().parse().unwrap());
        let keys = ["a", "b"].map(api_key);
        let pool = KeyPool::builder(provider).keys(keys).build().unwrap();
        Self { sim, server, pool }
    }

    fn checks(&self) -> KeyChecks<Hyper> {
        let checks = KeyChecks::new(self.pool.clone(), hyper()).base_url(self.server.uri("/v1").to_string());
        checks.confirm_after(Duration::from_millis(1))
    }

    async fn check(&self) -> KeyCheck {
        let check = self.checks().check(&"a".into()).await.unwrap();
        assert_eq!(shown(&self.pool, "a").last_check, Some(check));
        check
    }

    fn state(&self) -> KeyState {
        shown(&self.pool, "a").state
    }
}

fn hyper() -> Hyper {
    Client::builder(TokioExecutor::new()).build_http()
}

fn api_key(name: &str) -> ApiKey {
    ApiKey::new(secret(name)).unwrap().id(name)
}

fn shown(pool: &KeyPool, name: &str) -> KeySnapshot {
    pool.snapshot().keys.into_iter().find(|key| key.id.as_str() == name).unwrap()
}

fn refused() -> SimFault {
    Refusal::InvalidKey.into()
}

/// Returns the kinds of the events so far.
async fn kinds(events: &mut Subscription) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    while let Ok(Some(Ok(event))) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        kinds.push(event.kind);
    }
    kinds
}

type Seen = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// A server that responds with this status to requests with a key, and with that status to others.
async fn server(with_key: u16, without: u16) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let router = Router::new().fallback(move |request: AxumRequest| async move {
        let has_key = request.headers().contains_key("authorization");
        kept.lock().unwrap().push((request.uri().to_string(), request.headers().clone()));
        let response = Response::builder().status(if has_key { with_key } else { without });
        response.header("content-type", "application/json").body(axum::body::Body::from("{}")).unwrap()
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    (address, seen)
}

/// Checks the only key of this provider at a server.
async fn check_at(provider: Provider, address: SocketAddr) -> (KeyCheck, KeyPool) {
    let provider = provider.with_origin(format!("http://{address}").parse().unwrap());
    let pool = KeyPool::builder(provider).key(api_key("a")).build().unwrap();
    let checks = KeyChecks::new(pool.clone(), hyper()).base_url(format!("http://{address}/v1/"));
    (checks.check(&"a".into()).await.unwrap(), pool)
}

#[tokio::test]
async fn a_good_key_is_valid_and_its_check_is_no_request() {
    let stage = Stage::start().await;
    let mut events = stage.pool.subscribe();
    let check = stage.check().await;
    assert_eq!((check.result, check.status), (CheckResult::Valid, Some(200)));
    let KeySnapshot { calls, successes, in_flight, last_used, .. } = shown(&stage.pool, "a");
    assert_eq!((calls, successes, in_flight, last_used), (0, 0, 0, None));
    assert_eq!(stage.sim.key("a").calls(), 1);
    assert!(matches!(&kinds(&mut events).await[..], [EventKind::Checked { .. }]));
}

#[tokio::test]
async fn a_key_that_is_refused_once_stays_in_use() {
    let stage = Stage::start().await;
    stage.sim.key("a").fail(1, refused());
    assert_eq!(stage.check().await.result, CheckResult::Valid);
    stage.sim.key("a").script(Script::new().then(refused()).then(SimFault::status(503)));
    assert_eq!(stage.check().await.result, CheckResult::Unconfirmed);
    stage.sim.key("a").script(Script::new().then(SimFault::status(503)).then(refused()));
    assert_eq!(stage.check().await.result, CheckResult::ServerError);
    assert_eq!(stage.state(), KeyState::Available);
}

#[tokio::test]
async fn a_key_that_is_refused_twice_is_invalid() {
    let stage = Stage::start().await;
    let mut events = stage.pool.subscribe();
    stage.sim.key("a").revoke();
    assert_eq!(stage.check().await.result, CheckResult::Invalid);
    assert_eq!((stage.state(), stage.pool.usable(None)), (KeyState::Invalid, 1));
    assert_eq!(stage.sim.key("a").calls(), 2);
    // Another check says so again, and changes nothing.
    assert_eq!(stage.check().await.result, CheckResult::Invalid);
    let kinds = kinds(&mut events).await;
    let marks = kinds.iter().filter(|kind| matches!(kind, EventKind::InvalidKey { .. }));
    assert_eq!((kinds.len(), marks.count()), (3, 1), "{kinds:?}");
}

#[tokio::test]
async fn a_key_that_was_out_as_invalid_and_is_valid_comes_back() {
    let stage = Stage::start().await;
    stage.sim.key("a").revoke();
    stage.check().await;
    assert_eq!(stage.state(), KeyState::Invalid);
    let mut events = stage.pool.subscribe();
    stage.sim.key("a").restore();
    assert_eq!(stage.check().await.result, CheckResult::Valid);
    assert_eq!(stage.pool.usable(None), 2);
    let kinds = kinds(&mut events).await;
    assert!(matches!(&kinds[..], [EventKind::Recovered { .. }, EventKind::Checked { .. }]), "{kinds:?}");
}

#[tokio::test]
async fn no_other_response_changes_the_state_of_a_key() {
    let stage = Stage::start().await;
    let faults = [
        (SimFault::rate_limited(Duration::from_secs(60)), CheckResult::RateLimited),
        (SimFault::status(503), CheckResult::ServerError),
        (SimFault::status(404), CheckResult::NoCall),
        (Refusal::OutOfCredit.into(), CheckResult::QuotaExceeded),
        (SimFault::Reset, CheckResult::Unreachable),
    ];
    for (fault, expected) in faults {
        stage.sim.key("a").fail(2, fault);
        assert_eq!(stage.check().await.result, expected);
        assert_eq!(stage.state(), KeyState::Available, "{expected}");
    }
    let unreachable = KeyChecks::new(stage.pool.clone(), hyper()).base_url("http://127.0.0.1:1/v1");
    assert_eq!(unreachable.check(&"a".into()).await.unwrap().result, CheckResult::Unreachable);
    assert_eq!(stage.pool.usable(None), 2);
}

#[tokio::test]
async fn an_error_with_a_success_status_proves_nothing() {
    let body = r#"{"error":{"code":"invalid_api_key","message":"Incorrect API key provided"}}"#;
    let client = service_fn(move |_: http::Request<ReplayBody>| async move {
        let response = Response::builder().header("content-type", "application/json");
        response.body(http_body_util::Full::<bytes::Bytes>::from(body))
    });
    let pool = KeyPool::builder(Provider::openai()).key(api_key("a")).build().unwrap();
    let check = KeyChecks::new(pool, client).check(&"a".into()).await.unwrap();
    assert_eq!((check.result, check.status), (CheckResult::NoCall, Some(200)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_provider_is_given_up_in_time() {
    let sim = openai([key("a")]);
    sim.key("a").fail(1, SimFault::Silent);
    let pool = support::pool(&["a"]);
    let checks = KeyChecks::new(pool.clone(), sim).base_url(format!("{}/v1", support::ORIGIN));
    let began = tokio::time::Instant::now();
    let check = checks.check(&"a".into()).await.unwrap();
    assert_eq!((check.result, check.status), (CheckResult::Timeout, None));
    assert_eq!((tokio::time::Instant::now() - began, pool.usable(None)), (KeyChecks::TIMEOUT, 1));
}

#[tokio::test]
async fn a_list_that_is_open_to_everyone_proves_nothing() {
    let (open, seen) = server(200, 200).await;
    let (check, _) = check_at(Provider::compatible("relay"), open).await;
    assert_eq!(check.result, CheckResult::OpenList);
    assert!(!seen.lock().unwrap()[1].1.contains_key("authorization"));
    let (check, _) = check_at(Provider::preset("nvidia").unwrap(), open).await;
    assert_eq!((check.result, seen.lock().unwrap().len()), (CheckResult::OpenList, 3), "the preset says so");

    let (closed, _) = server(200, 401).await;
    assert_eq!(check_at(Provider::compatible("relay"), closed).await.0.result, CheckResult::Valid);
    let (busy, _) = server(200, 429).await;
    assert_eq!(check_at(Provider::compatible("relay"), busy).await.0.result, CheckResult::RateLimited);
    let (account, seen) = server(200, 200).await;
    let (check, _) = check_at(Provider::preset("openrouter").unwrap(), account).await;
    assert_eq!((check.result, &*seen.lock().unwrap()[0].0), (CheckResult::Valid, "/v1/key"));
    let (none, seen) = server(401, 401).await;
    assert_eq!(check_at(Provider::preset("voyage").unwrap(), none).await.0.result, CheckResult::NoCall);
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_check_uses_the_base_url_and_headers_of_the_key() {
    let (address, seen) = server(200, 401).await;
    let header = (HeaderName::from_static("x-team"), HeaderValue::from_static("east"));
    let base = format!("http://{address}/relay/v1").parse().unwrap();
    let east = api_key("a").base_url(base).header(header.0, header.1);
    let pool = KeyPool::builder(Provider::compatible("relay")).key(east).build().unwrap();
    let checks = KeyChecks::new(pool, hyper());
    assert_eq!(checks.check(&"a".into()).await.unwrap().result, CheckResult::Valid);
    let seen = seen.lock().unwrap().clone();
    assert!(seen.iter().all(|(uri, head)| uri == "/relay/v1/models" && head["x-team"] == "east"), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_secret_is_renewed_before_it_is_judged() {
    let sim = openai([key("old").revoked(), key("new")]);
    let secrets = Arc::new(Mutex::new(vec!["new", "old"]));
    let source = SecretSource::new(
        "vault",
        service_fn(move |()| {
            let next = secrets.lock().unwrap().pop();
            async move { Ok::<_, std::io::Error>(Credential::new(Secret::new(secret(next.unwrap())).unwrap())) }
        }),
    );
    let provider = support::at_sim(Provider::openai());
    let pool = KeyPool::builder(provider).key(ApiKey::from(source).id("a")).build().unwrap();
    let checks = KeyChecks::new(pool.clone(), sim).base_url(format!("{}/v1", support::ORIGIN));
    assert_eq!(checks.check(&"a".into()).await.unwrap().result, CheckResult::Valid);
    assert_eq!(pool.usable(None), 1);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_checks_every_key_in_each_interval() {
    let sim = openai([key("a"), key("b")]);
    let pool = support::pool(&["a"]);
    let checks = KeyChecks::new(pool.clone(), sim.clone()).base_url(format!("{}/v1", support::ORIGIN));
    let running = tokio::spawn(checks.every(Duration::from_secs(600)));
    pool.add(api_key("b")).unwrap();
    tokio::time::sleep(Duration::from_secs(6_000)).await;
    for label in ["a", "b"] {
        let calls = sim.key(label).calls();
        assert!((6..=14).contains(&calls), "{label}: {calls} in ten intervals");
    }
    sim.key("b").revoke();
    tokio::time::sleep(Duration::from_secs(1_300)).await;
    assert_eq!(shown(&pool, "b").state, KeyState::Invalid);
    sim.key("b").restore();
    tokio::time::sleep(Duration::from_secs(1_300)).await;
    assert_eq!(pool.usable(None), 2);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_key_that_serves_a_request_meanwhile_is_not_marked() {
    let sim = openai([key("a")]);
    let pool = support::pool(&["a"]);
    sim.key("a").script(Script::new().then(refused()).then_times(0, refused()));
    let checks = KeyChecks::new(pool.clone(), sim.clone()).base_url(format!("{}/v1", support::ORIGIN));
    let checking = tokio::spawn(async move { checks.check(&"a".into()).await.unwrap() });
    tokio::time::sleep(Duration::from_secs(2)).await;
    send(&rotating(&pool, &sim), chat("gpt-4o")).await.unwrap();
    sim.key("a").revoke();
    assert_eq!(checking.await.unwrap().result, CheckResult::Unconfirmed);
    assert_eq!(shown(&pool, "a").state, KeyState::Available);
}

#[tokio::test(start_paused = true)]
async fn a_check_takes_nothing_of_limits_and_no_probe() {
    let sim = openai([key("a")]);
    let limited = api_key("a").quota(Quota::requests(1).per_day());
    let pool = KeyPool::builder(support::at_sim(Provider::openai())).key(limited).build().unwrap();
    let checks = KeyChecks::new(pool.clone(), sim.clone()).base_url(format!("{}/v1", support::ORIGIN));
    for _ in 0..3 {
        assert_eq!(checks.check(&"a".into()).await.unwrap().result, CheckResult::Valid);
    }
    pool.cool_down(&"a".into(), None, Duration::from_secs(60)).unwrap();
    assert_eq!(checks.check(&"a".into()).await.unwrap().result, CheckResult::Valid);
    assert_eq!(shown(&pool, "a").state, KeyState::RateLimited, "only an invalid key comes back");
    tokio::time::sleep(Duration::from_secs(61)).await;
    checks.check(&"a".into()).await.unwrap();
    let response = send(&rotating(&pool, &sim), chat("gpt-4o")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(shown(&pool, "a").calls, 1);
}

#[tokio::test]
async fn no_output_of_a_check_shows_the_key() {
    let captured = support::Captured::default();
    let _guard = captured.install();
    let stage = Stage::start().await;
    stage.sim.key("a").fail(2, Refusal::Deactivated);
    stage.check().await;
    let shown = format!("{:?} {:?}", stage.pool.snapshot(), stage.checks());
    let logged = captured.text();
    assert!(logged.contains("checked") && logged.contains("invalid key"), "{logged}");
    assert!(!shown.contains(MARKER) && !logged.contains(MARKER));
}
