//! The response to a failed request: never a success, never a hang, and the correct time to come back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/raw.rs"]
mod raw;
mod support;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use raw::{HeldClock, LAST_CHUNK, Raw, STREAM, Step, chunk, event, json};
use static_assertions::assert_impl_all;
use support::{ORIGIN, all_keys_failed, chat, key, openai, pool, rotating, send};
use tokio::time::Instant;
use tower::load_shed::error::Overloaded;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_key_rotation::body::{ErrorBody, ReplayBody, ResponseBody};
use tower_key_rotation::classify::Reason;
use tower_key_rotation::fallback::{ProviderFallbackLayer, Route, SkipReason};
use tower_key_rotation::pool::KeyState;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{
    ApiKey, Deadline, Error, KeyPool, KeyRotationLayer, Provider, ProviderPin, RespondLayer, StopReason,
};
use tower_key_rotation_sim::{Refusal, Script, SimFault, Simulator};

const SECOND: Duration = Duration::from_secs(1);

assert_impl_all!(ErrorBody: Body, Default, std::fmt::Debug, Send, Sync, Unpin);

type Hyper = Client<HttpConnector, ReplayBody>;
type Rotating = KeyRotation<Hyper>;

const ROLE: &str = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;

/// The parts of a response that the caller got.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    /// `None`: the body ended with an error.
    body: Option<String>,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn is(&self, status: u16, code: &str) {
        let body = self.body.as_deref().unwrap();
        assert_eq!(self.status, status, "{body}");
        assert!(body.contains(&format!("\"code\":\"{code}\"")), "{body}");
    }
}

async fn got<S, B, R>(service: S, request: Request<B>) -> Got
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.ok().map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap());
    let body = body.map(|body| body.replace("\": \"", "\":\""));
    Got { status: head.status, headers: head.headers, body }
}

fn rotating_at(origin: &str) -> Rotating {
    let provider = Provider::openai().with_origin(origin.parse().unwrap());
    let pool = KeyPool::builder(provider).key(ApiKey::new(support::secret("a")).unwrap()).build().unwrap();
    let client: Hyper = Client::builder(TokioExecutor::new()).build_http();
    KeyRotationLayer::new(pool).backoff(Duration::ZERO, Duration::ZERO).layer(client)
}

fn limited(
    layer: ProviderFallbackLayer<ResponseBody<Incoming>>,
) -> ProviderFallbackLayer<ResponseBody<Incoming>> {
    layer
        .head_timeout(SECOND)
        .first_content_timeout(SECOND)
        .idle_timeout(SECOND)
        .deadline(3 * SECOND)
        .backoff(Duration::ZERO, Duration::ZERO)
}

fn post(origin: &str) -> Request<Full<Bytes>> {
    Request::post(format!("{origin}/v1/chat/completions"))
        .header("content-type", "application/json")
        .body(Full::from(r#"{"model":"m","messages":[],"stream":true}"#))
        .unwrap()
}

/// The behaviour of an upstream, and the status that reports it.
fn given_up() -> Vec<(&'static str, Vec<Step>, u16)> {
    let stream = |events: &[&str]| {
        let events: String = events.iter().map(|data| event(data)).collect();
        Step::send([STREAM, &events].concat())
    };
    let end = || Step::send(LAST_CHUNK);
    vec![
        ("a head, then silence", vec![stream(&[]), Step::Outlast], 504),
        ("a role, then silence", vec![stream(&[ROLE]), Step::Outlast], 504),
        ("pings for ever", vec![stream(&[]), Step::Drip(chunk(": ping\n\n").into())], 504),
        ("no content", vec![stream(&[]), end()], 503),
        ("a role, then the end", vec![stream(&[ROLE]), end()], 503),
        ("a malformed event", vec![stream(&[r#"{"choi"#]), end()], 503),
        ("a cut", vec![stream(&[ROLE]), Step::Cut], 503),
        ("silence", vec![Step::Outlast], 504),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_never_delivered_as_a_success() {
    let _clock = HeldClock::new();
    for (name, script, status) in given_up() {
        for links in 1..=2 {
            let upstreams = [Raw::serving(script.clone()).await, Raw::serving(script.clone()).await];
            let mut layer = limited(ProviderFallbackLayer::new("0"));
            if links == 2 {
                let origin = upstreams[1].origin();
                layer =
                    layer.fallback("1", rotating_at(&origin), Route::to(&format!("{origin}/v1")).unwrap());
            }
            let origin = upstreams[0].origin();
            let service = RespondLayer::new().layer(layer.layer(rotating_at(&origin)));
            let began = Instant::now();
            let got = got(service, post(&origin)).await;
            assert_eq!(got.status, status, "{name}, {links} links");
            assert_eq!(got.header("x-should-retry"), Some("false"), "{name}, {links} links");
            assert!(Instant::now().saturating_duration_since(began) <= 5 * SECOND, "{name}, {links} links");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_layer_alone_responds_alike() {
    let _clock = HeldClock::new();
    for (name, script, status) in given_up().into_iter().skip(3).take(4) {
        let upstream = Raw::serving(script).await;
        let origin = upstream.origin();
        let failed = all_keys_failed(rotating_at(&origin).oneshot(post(&origin)).await.unwrap_err());
        assert!(failed.into_last_response().is_none(), "{name}");
        let got = got(RespondLayer::new().layer(rotating_at(&origin)), post(&origin)).await;
        assert_eq!((got.status.as_u16(), got.header("x-should-retry")), (status, Some("false")), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_response_that_stalls_ends_at_the_idle_limit() {
    let _clock = HeldClock::new();
    let head = "HTTP/1.1 500 X\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"error\":";
    let upstream = Raw::serving([Step::send(head), Step::Outlast]).await;
    let origin = upstream.origin();
    let began = Instant::now();
    let chain = limited(ProviderFallbackLayer::new("0")).deadline(60 * SECOND).layer(rotating_at(&origin));
    let one = got(RespondLayer::new().layer(chain), post(&origin)).await;
    assert_eq!((one.status.as_u16(), one.body), (500, None));
    assert!(
        Instant::now().saturating_duration_since(began) < 10 * SECOND,
        "{:?}",
        Instant::now().saturating_duration_since(began)
    );

    let began = Instant::now();
    let alone = got(RespondLayer::new().layer(rotating_at(&origin)), post(&origin)).await;
    assert_eq!((alone.status.as_u16(), alone.body), (500, None));
    assert!(
        Instant::now().saturating_duration_since(began) < 60 * SECOND,
        "{:?}",
        Instant::now().saturating_duration_since(began)
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_response_that_drips_ends_at_the_deadline() {
    let _clock = HeldClock::new();
    let head = "HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\n";
    let upstream = Raw::serving([Step::send(head), Step::Drip(chunk("x").into())]).await;
    let origin = upstream.origin();
    let began = Instant::now();
    let layer = limited(ProviderFallbackLayer::new("0")).deadline(20 * SECOND);
    let got = got(RespondLayer::new().layer(layer.layer(rotating_at(&origin))), post(&origin)).await;
    assert_eq!((got.status.as_u16(), got.body), (500, None));
    assert!(
        (2 * SECOND..22 * SECOND).contains(&Instant::now().saturating_duration_since(began)),
        "{:?}",
        Instant::now().saturating_duration_since(began)
    );
}

#[tokio::test(start_paused = true)]
async fn a_skipped_link_does_not_hide_a_timeout() {
    let _clock = HeldClock::new();
    let limited_one =
        Raw::serving([Step::send(json(429, "{}").replace("X\r\n", "X\r\nretry-after: 30\r\n"))]).await;
    let silent = Raw::serving([Step::send(STREAM), Step::Outlast]).await;
    let origin = silent.origin();
    let first = rotating_at(&limited_one.origin());
    first.clone().oneshot(post(&limited_one.origin())).await.unwrap_err();
    let layer = limited(ProviderFallbackLayer::new("0")).fallback(
        "1",
        rotating_at(&origin),
        Route::to(&format!("{origin}/v1")).unwrap(),
    );
    let got = got(RespondLayer::new().layer(layer.layer(first)), post(&limited_one.origin())).await;
    assert_eq!((got.status, limited_one.calls(), silent.calls()), (StatusCode::GATEWAY_TIMEOUT, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn limits_report_when_to_retry() {
    let refuse = |fault: SimFault| openai([key("a").script(Script::always(fault))]);
    let cases = [
        (SimFault::rate_limited(20 * SECOND), 429, "rate_limit_exceeded", Some("20"), None),
        (SimFault::rate_limited(300 * SECOND), 429, "rate_limit_exceeded", Some("300"), Some("false")),
        (SimFault::Refuse(Refusal::OutOfCredit), 429, "insufficient_quota", None, Some("false")),
    ];
    for (fault, status, code, retry_after, should_retry) in cases {
        let name = format!("{fault:?}");
        let service = RespondLayer::new().layer(rotating(&pool(&["a"]), &refuse(fault)));
        got(service.clone(), chat("m")).await;
        let second = got(service, chat("m")).await;
        second.is(status, code);
        assert_eq!(second.header("x-should-retry"), should_retry, "{name}");
        if retry_after.is_some() {
            assert_eq!(second.header("retry-after"), retry_after, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn disabled_keys_are_not_a_limit() {
    let sim = openai([key("a")]);
    let pool = pool(&["a"]);
    pool.disable(&"a".into()).unwrap();
    let failed = all_keys_failed(send(&rotating(&pool, &sim), chat("m")).await.unwrap_err());
    assert_eq!(failed.exhausted_by(), Some(Reason::InvalidKey));
    let one = got(RespondLayer::new().layer(rotating(&pool, &sim)), chat("m")).await;
    one.is(503, "no_usable_key");
    assert_eq!((one.header("x-should-retry"), one.header("retry-after")), (Some("false"), None));

    let chain = ProviderFallbackLayer::new("0").layer(rotating(&pool, &sim));
    let chained = got(RespondLayer::new().layer(chain), chat("m")).await;
    chained.is(503, "no_usable_key");
    assert_eq!(chained.header("x-should-retry"), Some("false"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_becomes_a_502() {
    let sim = || openai([key("a").script(Script::always(SimFault::Refuse(Refusal::InvalidKey)))]);
    let service = || rotating(&pool(&["a"]), &sim());
    let own = got(RespondLayer::new().layer(service()), chat("m")).await;
    own.is(502, "invalid_api_key");
    assert_eq!(own.header("x-should-retry"), Some("false"));
    let chain = ProviderFallbackLayer::new("0").layer(service());
    got(RespondLayer::new().layer(chain), chat("m")).await.is(502, "invalid_api_key");

    let passed = got(RespondLayer::new().pass_refusals(true).layer(service()), chat("m")).await;
    assert_eq!(passed.status, StatusCode::UNAUTHORIZED);
    let error = send(&service(), chat("m")).await.unwrap_err();
    assert_eq!(error.into_response().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_reports_the_attempt_under_way() {
    let sim = openai([key("a").script(Script::always(SimFault::Silent))]);
    let pool = pool(&["a"]);
    let due = || {
        let mut request = chat("m");
        request.extensions_mut().insert(Deadline::at(Instant::now() + 3 * SECOND));
        request
    };
    let failed = all_keys_failed(send(&rotating(&pool, &sim), due()).await.unwrap_err());
    assert_eq!((failed.stop_reason(), failed.attempts().len()), (StopReason::Deadline, 1));
    assert!(failed.may_have_run());
    assert_eq!(pool.snapshot().keys[0].state, KeyState::Available);

    let chain = ProviderFallbackLayer::new("0").layer(rotating(&pool, &sim));
    let Err(Error::AllProvidersFailed(failed)) = send(&chain, due()).await else { panic!("served") };
    assert!(failed.deadline_passed() && failed.may_have_run());
    assert_eq!(failed.providers().len(), 1);
    let response = failed.into_response();
    assert_eq!(
        (response.status(), &response.headers()["x-should-retry"]),
        (StatusCode::GATEWAY_TIMEOUT, &"false".parse().unwrap())
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_pin_lists_the_links() {
    let sim = openai([key("a")]);
    let link = || rotating(&pool(&["a"]), &sim);
    let chain =
        ProviderFallbackLayer::new("openai").fallback("anthropic", link(), Route::new()).layer(link());
    let mut request = chat("m");
    request.extensions_mut().insert(ProviderPin::to("antropic"));
    let error = send(&chain, request).await.unwrap_err();
    assert!(
        error.to_string().contains("\"antropic\"") && error.to_string().contains("openai, anthropic"),
        "{error}"
    );
    let Error::UnknownLink(unknown) = &error else { panic!("{error}") };
    assert_eq!(
        (unknown.pinned(), unknown.links().collect::<Vec<_>>()),
        ("antropic", vec!["openai", "anthropic"])
    );
    assert_eq!(error.into_response().status(), StatusCode::BAD_REQUEST);
    assert_eq!(sim.calls(), 0);
}

/// A client that serves one request at a time and sheds the rest.
fn shedding(
    sim: &Simulator,
) -> impl Service<
    Request<ReplayBody>,
    Response = Response<tower_key_rotation_sim::SimBody>,
    Error = BoxError,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    ServiceBuilder::new().load_shed().concurrency_limit(1).service(sim.clone())
}

#[tokio::test(start_paused = true)]
async fn a_shed_request_blames_no_key() {
    let slow = openai([key("a").script(Script::always(SimFault::Silent))]);
    let pool = pool(&["a"]);
    let service = KeyRotationLayer::new(pool.clone()).layer(shedding(&slow));
    let busy = tokio::spawn(service.clone().oneshot(chat("m")));
    tokio::task::yield_now().await;
    for _ in 0..5 {
        let error = send(&service, chat("m")).await.unwrap_err();
        assert!(matches!(&error, Error::Service(source) if source.is::<Overloaded>()), "{error:?}");
        assert_eq!(error.into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    let shown = &pool.snapshot().keys[0];
    assert_eq!((slow.calls(), shown.calls, shown.faults), (1, 1, 0));

    let fine = openai([key("a")]);
    let chain = ProviderFallbackLayer::new("busy")
        .fallback("fine", rotating(&pool_of_one(), &fine), Route::new())
        .layer(service);
    for _ in 0..10 {
        send(&chain, chat("m")).await.unwrap();
    }
    assert_eq!(fine.calls(), 10);
    busy.abort();
    let _ = busy.await;
    slow.script(Script::new());
    slow.key("a").script(Script::new());
    send(&chain, chat("m")).await.unwrap();
    assert_eq!((fine.calls(), slow.calls()), (10, 2), "the breaker of the first has not opened");
}

#[tokio::test(start_paused = true)]
async fn a_busy_link_opens_no_breaker() {
    let sims = [openai([key("a").script(Script::new().then(SimFault::Silent))]), openai([key("a")])];
    let client = ServiceBuilder::new().concurrency_limit(1).service(sims[0].clone());
    let service = KeyRotationLayer::new(pool(&["a"])).layer(client);
    let busy = tokio::spawn(service.clone().oneshot(chat("m")));
    tokio::task::yield_now().await;
    let chain = ProviderFallbackLayer::new("busy")
        .head_timeout(SECOND)
        .fallback("fine", rotating(&pool(&["a"]), &sims[1]), Route::new())
        .layer(service);
    for _ in 0..10 {
        send(&chain, chat("m")).await.unwrap();
    }
    assert_eq!(sims[1].calls(), 10);
    busy.abort();
    let _ = busy.await;
    send(&chain, chat("m")).await.unwrap();
    assert_eq!((sims[0].calls(), sims[1].calls()), (2, 10), "the breaker of the first has not opened");
}

#[tokio::test(start_paused = true)]
async fn a_delivered_401_becomes_a_502() {
    let scopes = r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.responses.write.","type":"invalid_request_error","code":null}}"#;
    let client = service_fn(move |_: Request<ReplayBody>| async move {
        Response::builder().status(401).header("www-authenticate", "Bearer").body(Full::<Bytes>::from(scopes))
    });
    let service = || KeyRotationLayer::new(pool(&["a", "b"])).layer(client);
    let passed = got(RespondLayer::new().pass_refusals(true).layer(service()), chat("m")).await;
    assert_eq!((passed.status.as_u16(), passed.header("www-authenticate")), (401, Some("Bearer")));
    let own = got(RespondLayer::new().layer(service()), chat("m")).await;
    assert_eq!((own.status.as_u16(), own.header("www-authenticate")), (502, None));
    assert!(own.body.unwrap().contains("Missing scopes"));
}

#[tokio::test(start_paused = true)]
async fn a_shed_request_is_reported() {
    let client = service_fn(|_: Request<ReplayBody>| {
        std::future::pending::<Result<Response<Full<Bytes>>, BoxError>>()
    });
    let link = ServiceBuilder::new().load_shed().concurrency_limit(1).service(client);
    let _busy = tokio::spawn(link.clone().oneshot(Request::post(ORIGIN).body(ReplayBody::empty()).unwrap()));
    tokio::task::yield_now().await;
    let chain = ProviderFallbackLayer::new("only").layer(link);
    let Err(Error::AllProvidersFailed(failed)) = send(&chain, chat("m")).await else { panic!("served") };
    assert_eq!(failed.providers()[0].because(), &SkipReason::Shed);
    let response = failed.into_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!response.headers().contains_key("x-should-retry"), "nothing was sent");
}

fn pool_of_one() -> KeyPool {
    pool(&["a"])
}

#[tokio::test(start_paused = true)]
async fn other_layers_may_be_in_between() {
    let limited = openai([key("a").script(Script::always(SimFault::rate_limited(20 * SECOND)))]);
    let through = ServiceBuilder::new()
        .layer(RespondLayer::new())
        .buffer::<Request<Full<Bytes>>>(8)
        .load_shed()
        .concurrency_limit(8)
        .timeout(60 * SECOND)
        .map_response(|response: Response<_>| response.map(BodyExt::boxed_unsync))
        .service(rotating(&pool(&["a"]), &limited));
    assert_eq!(got(through, chat("m")).await.status, StatusCode::TOO_MANY_REQUESTS);

    let silent = openai([key("a").script(Script::always(SimFault::Silent))]);
    let late = ServiceBuilder::new()
        .layer(RespondLayer::new())
        .timeout(5 * SECOND)
        .service(rotating(&pool(&["a"]), &silent));
    let late = got(late, chat("m")).await;
    late.is(504, "timeout");
    assert_eq!(late.header("x-should-retry"), Some("false"));

    let shed = ServiceBuilder::new()
        .layer(RespondLayer::new())
        .load_shed()
        .concurrency_limit(1)
        .service(rotating(&pool(&["a"]), &silent));
    let busy = tokio::spawn(shed.clone().oneshot(chat("m")));
    tokio::task::yield_now().await;
    got(shed, chat("m")).await.is(503, "overloaded");
    busy.abort();

    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[source] Error);
    let wrapped = ServiceBuilder::new().map_err(Wrapped).service(rotating(&pool(&["a"]), &silent));
    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(Instant::now() + SECOND));
    got(RespondLayer::new().layer(wrapped), request).await.is(504, "deadline");
}

#[tokio::test(start_paused = true)]
async fn a_failed_service_may_have_run() {
    let broken = service_fn(|_: Request<Full<Bytes>>| async { Err::<Response<Full<Bytes>>, _>("gone") });
    let got = got(RespondLayer::new().layer(broken), chat("m")).await;
    got.is(503, "service_failed");
    assert_eq!(got.header("x-should-retry"), Some("false"), "it may have been sent");
}

#[tokio::test]
#[should_panic(expected = "after its completion")]
async fn polling_a_completed_future_panics() {
    let served = service_fn(|_: ()| async { Ok::<_, BoxError>(Response::new(Full::<Bytes>::default())) });
    let mut future = Box::pin(RespondLayer::new().layer(served).call(()));
    let _ = future.as_mut().await;
    let _ = future.as_mut().await;
}
