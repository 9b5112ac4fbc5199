//! Bounds for values that callers write into requests: names of models, and the limits that depend on them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use support::{ORIGIN, all_keys_failed, at_sim, chat, send, streamed};
use tokio::time::advance;
use tower::{BoxError, Layer, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::event::Subscription;
use tower_key_rotation::limits::Quota;
use tower_key_rotation::pool::KeyPoolBuilder;
use tower_key_rotation::{
    ApiKey, Error, KeyPool, KeyRotationLayer, ModelId, Provider, ProviderFallbackLayer, RespondLayer,
    StopReason,
};

const MINUTE: Duration = Duration::from_secs(60);

fn builder(keys: &[&str]) -> KeyPoolBuilder {
    let keys = keys.iter().map(|id| ApiKey::new(format!("sk-{id}")).unwrap().id(*id));
    KeyPool::builder(at_sim(Provider::openai())).keys(keys)
}

fn limited(quota: Quota) -> KeyPool {
    builder(&["a"]).quota(quota).build().unwrap()
}

fn a_day(amount: u64, pattern: &str) -> KeyPool {
    limited(Quota::requests(amount).per_day().for_models(pattern))
}

/// A provider that counts its calls, and returns the same response to all of them.
#[derive(Clone)]
struct Upstream {
    calls: Arc<AtomicUsize>,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
}

impl Upstream {
    fn new() -> Self {
        Self { calls: Arc::default(), status: 200, headers: &[] }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Sends a request through a layer with this pool.
    async fn ask<B>(&self, pool: &KeyPool, request: Request<B>) -> Result<StatusCode, Error>
    where
        B: Body<Data: Send> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let upstream = self.clone();
        let client = service_fn(move |request: Request<ReplayBody>| {
            let upstream = upstream.clone();
            async move {
                upstream.calls.fetch_add(1, Ordering::Relaxed);
                let _sent = request.into_body().collect().await;
                let mut response = Response::builder().status(upstream.status);
                for (name, value) in upstream.headers {
                    response = response.header(*name, *value);
                }
                Ok::<_, Infallible>(response.body(Full::new(Bytes::from_static(b"{}"))).unwrap())
            }
        });
        let layer = KeyRotationLayer::new(pool.clone());
        Ok(send(&layer.layer(client), request).await?.status())
    }

    async fn is_served(&self, pool: &KeyPool, model: &str) -> bool {
        self.ask(pool, chat(model)).await.is_ok()
    }
}

fn post(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(format!("{ORIGIN}/v1/chat/completions")).body(Full::new(body.into())).unwrap()
}

async fn stop_reason<B>(upstream: &Upstream, pool: &KeyPool, request: Request<B>) -> StopReason
where
    B: Body<Data: Send> + Send + 'static,
    B::Error: Into<BoxError>,
{
    all_keys_failed(upstream.ask(pool, request).await.unwrap_err()).stop_reason()
}

// === names ===

#[tokio::test(start_paused = true)]
async fn an_invalid_name_is_not_kept() {
    let limits: &[_] = &[("x-ratelimit-limit-requests", "900"), ("x-ratelimit-remaining-requests", "899")];
    let refused = Upstream { status: 429, ..Upstream::new() };
    let served = Upstream { headers: limits, ..Upstream::new() };
    for (upstream, quotas) in [(refused, None), (served, None), (Upstream::new(), Some("*"))] {
        let quotas = quotas.map(|models| Quota::requests(9).per_day().for_models(models));
        let pool = quotas.into_iter().fold(builder(&["a", "b"]), KeyPoolBuilder::quota).build().unwrap();
        let mut heard = pool.subscribe();
        for number in 0..30 {
            let (long, odd) = (format!("{number}{}", "x".repeat(200_000)), format!("a\\u0007{number}"));
            for model in [long, odd] {
                if let Err(error) = upstream.ask(&pool, chat(&model)).await {
                    assert!(format!("{error} {error:?}").len() < 4_000, "{error}");
                }
            }
            advance(MINUTE).await;
        }
        let kept = serde_json::to_string(&pool.snapshot()).unwrap() + &all(&mut heard);
        assert!(kept.len() < 200_000, "{} bytes kept", kept.len());
        assert!(pool.snapshot().models.is_empty());
    }
}

fn all(heard: &mut Subscription) -> String {
    std::iter::from_fn(|| heard.next().now_or_never().flatten()).map(|event| format!("{event:?}")).collect()
}

#[test]
fn every_name_is_bounded() {
    let long = "é".repeat(1_000);
    for model in [
        ModelId::from(long.as_str()),
        ModelId::from(long.clone()),
        serde_json::from_str(&format!("\"{long}\"")).unwrap(),
    ] {
        assert_eq!(model.as_str().len(), ModelId::MAX_LEN);
    }
    assert_eq!(ModelId::from("a\nb").as_str(), "a\u{fffd}b");
    assert_eq!(serde_json::to_string(&ModelId::from("m")).unwrap(), "\"m\"");
    assert_eq!(ModelId::new(&"x".repeat(ModelId::MAX_LEN)).unwrap().as_str().len(), ModelId::MAX_LEN);
    for none in [String::new(), "x".repeat(ModelId::MAX_LEN + 1), "a\u{7f}".to_owned(), "a\u{85}".to_owned()]
    {
        assert_eq!(ModelId::new(&none), None, "{none:?}");
    }
}

// === declared limits count whatever the names are ===

#[tokio::test(start_paused = true)]
async fn other_names_bring_no_fresh_allowance() {
    for cap in [1, 4, 256] {
        let quota = Quota::requests(5).per_day().for_models("m*");
        let pool = builder(&["a"]).quota(quota).max_models(cap).build().unwrap();
        let upstream = Upstream::new();
        for _ in 0..5 {
            assert!(upstream.is_served(&pool, "m").await);
        }
        assert!(!upstream.is_served(&pool, "m").await);
        for number in 0..300 {
            let _ = upstream.is_served(&pool, &format!("m{number}")).await;
            let _ = upstream.is_served(&pool, &format!("other{number}")).await;
        }
        assert!(!upstream.is_served(&pool, "m").await, "{cap} models are remembered");
        advance(MINUTE * 60 * 24).await;
        assert!(upstream.is_served(&pool, "m").await);
    }
}

#[tokio::test(start_paused = true)]
async fn names_beyond_the_cap_share_a_limit() {
    let quotas = ["m*", "*x"].map(|models| Quota::requests(1).per_day().for_models(models));
    let pool = quotas.into_iter().fold(builder(&["a"]), KeyPoolBuilder::quota).max_models(2).build().unwrap();
    let upstream = Upstream::new();
    let mut served = Vec::new();
    for model in ["m1", "m2", "m3", "m4", "m5", "ax", "bx", "mx", "mx2", "m1"] {
        served.push(upstream.is_served(&pool, model).await);
    }
    assert_eq!(served, [true, true, true, false, false, true, false, true, false, false]);
    let many = (0..1_000).map(|number| format!("m{number}x"));
    for model in many {
        assert!(!upstream.is_served(&pool, &model).await, "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_uncounted_name_makes_room() {
    let quota = Quota::requests(1).per_minute().for_models("m*");
    let pool = builder(&["a"]).quota(quota).max_models(2).build().unwrap();
    let upstream = Upstream::new();
    for minute in 0..5 {
        for model in 0..2 {
            assert!(upstream.is_served(&pool, &format!("m{minute}-{model}")).await);
        }
        advance(MINUTE * 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pattern_ignores_case() {
    let (pool, upstream) = (a_day(1, "pricey"), Upstream::new());
    assert!(upstream.is_served(&pool, "pricey").await);
    for model in ["PRICEY", "Pricey", "pRICEY", "pricey"] {
        assert!(!upstream.is_served(&pool, model).await, "{model}");
    }
    assert!(upstream.is_served(&pool, "cheap").await);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_a_key_survives_other_names_too() {
    let key = ApiKey::new("sk-a").unwrap().id("a");
    let key = key.quota(Quota::requests(1).per_day().for_models("m*"));
    let pool = KeyPool::builder(at_sim(Provider::openai())).key(key).max_models(3).build().unwrap();
    let upstream = Upstream::new();
    assert!(upstream.is_served(&pool, "m").await);
    for number in 0..20 {
        let _ = upstream.is_served(&pool, &format!("m{number}")).await;
    }
    assert!(!upstream.is_served(&pool, "m").await);
    assert!(!upstream.is_served(&pool, "M").await);
}

// === the place of the name ===

#[tokio::test(start_paused = true)]
async fn the_last_of_two_members_is_counted() {
    for body in [
        r#"{"model":"cheap","model":"pricey"}"#,
        r#"{"model":"cheap","messages":["\u0065"],"mod\u0065l":"pricey"}"#,
    ] {
        let (pool, upstream) = (a_day(1, "pricey"), Upstream::new());
        assert!(upstream.ask(&pool, post(body)).await.is_ok());
        assert!(upstream.ask(&pool, post(body)).await.is_err(), "{body}");
        assert_eq!(upstream.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_in_a_later_chunk_is_counted() {
    let pieces = ["{\"messages\":[],", "\"mo", "del\":\"pricey\"", "}"];
    let (pool, upstream) = (a_day(1, "pricey"), Upstream::new());
    let request = || Request::post(format!("{ORIGIN}/v1/chat/completions")).body(streamed(&pieces)).unwrap();
    assert!(upstream.ask(&pool, request()).await.is_ok());
    assert_eq!(stop_reason(&upstream, &pool, request()).await, StopReason::Exhausted);
    let two = ["{\"model\":\"cheap\",", "\"model\":\"pricey\"}"];
    let two = Request::post(format!("{ORIGIN}/v1/chat/completions")).body(streamed(&two)).unwrap();
    assert_eq!(stop_reason(&upstream, &pool, two).await, StopReason::Exhausted);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_body_is_not_sent_under_model_limits() {
    let encoded = |encoding: &str| {
        let mut request = post(&b"\x1f\x8b\x08\x00"[..]);
        request.headers_mut().append("content-encoding", "identity".parse().unwrap());
        request.headers_mut().append("content-encoding", encoding.parse().unwrap());
        request
    };
    let utf16: Vec<u8> = r#"{"model":"pricey"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let requests = || {
        [
            encoded("gzip"),
            encoded("X-Unknown"),
            post(&b"\x1f\x8b\x08\x00"[..]),
            post(utf16.clone()),
            post(r#"{"temperature":NaN,"model":"pricey"}"#),
            post(r#"{"model":"cheap","temperature":NaN,"model":"pricey"}"#),
            post(r#"{"model":["pricey"]}"#),
            post(format!(r#"{{"model":"{}"}}"#, "x".repeat(300))),
        ]
    };
    let (pool, upstream) = (a_day(1, "pricey"), Upstream::new());
    for request in requests() {
        assert_eq!(stop_reason(&upstream, &pool, request).await, StopReason::UnreadableModel);
    }
    assert_eq!(upstream.calls(), 0);
    // No limit depends on the name of the model here.
    let pool = limited(Quota::requests(100).per_day());
    for request in requests() {
        assert!(upstream.ask(&pool, request).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_model_are_not_counted() {
    let (pool, upstream) = (a_day(1, "*"), Upstream::new());
    let get = || Request::get(format!("{ORIGIN}/v1/models")).body(Full::new(Bytes::new())).unwrap();
    for request in [get(), get(), post("{}"), post("[1]"), post(r#"{"model":null}"#)] {
        assert!(upstream.ask(&pool, request).await.is_ok());
    }
    let mut named = post("\x1f");
    named.extensions_mut().insert(ModelId::from("m"));
    assert!(upstream.ask(&pool, named.clone()).await.is_ok(), "the caller says which model it is for");
    assert_eq!(stop_reason(&upstream, &pool, named).await, StopReason::Exhausted);
}

#[tokio::test(start_paused = true)]
async fn a_long_body_counts_for_its_first_model() {
    let padding: &'static str = Box::leak("x".repeat(ReplayBody::CAP / 2).into_boxed_str());
    let long = |first: &'static str| {
        let pieces = [first, padding, padding, padding, "\"}"];
        Request::post(format!("{ORIGIN}/v1/chat/completions")).body(streamed(&pieces)).unwrap()
    };
    let (pool, upstream) = (a_day(1, "pricey"), Upstream::new());
    assert!(upstream.ask(&pool, long("{\"model\":\"pricey\",\"x\":\"")).await.is_ok());
    assert_eq!(
        stop_reason(&upstream, &pool, long("{\"model\":\"pricey\",\"x\":\"")).await,
        StopReason::Exhausted
    );
    assert_eq!(stop_reason(&upstream, &pool, long("{\"x\":\"")).await, StopReason::UnreadableModel);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_request_gets_415() {
    let never = service_fn(|_: Request<ReplayBody>| -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
        ready(Ok(Response::new(Full::default())))
    });
    let service = RespondLayer::new().layer(KeyRotationLayer::new(a_day(1, "pricey")).layer(never));
    let mut request = post("x");
    request.headers_mut().insert("content-encoding", "br".parse().unwrap());
    let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let body = support::text(response).await;
    assert!(body.contains("unreadable_model") && body.contains("uncompressed"), "{body}");
}

// === times ===

#[tokio::test(start_paused = true)]
async fn an_extreme_time_does_not_panic() {
    let (far, stream) =
        (Duration::MAX, "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: [DONE]\n\n");
    let client = service_fn(move |_: Request<ReplayBody>| {
        let response = Response::builder().header("content-type", "text/event-stream");
        ready(Ok::<_, Infallible>(response.body(Full::new(Bytes::from_static(stream.as_bytes()))).unwrap()))
    });
    let layer = KeyRotationLayer::new(builder(&["a"]).build().unwrap()).wait_for_key(true);
    let layer = layer.deadline(far).head_timeout(far).peek(1 << 16, 200, far).backoff(far, far);
    assert_eq!(send(&layer.layer(client), chat("m")).await.unwrap().status(), StatusCode::OK);

    let chain = ProviderFallbackLayer::new("first").deadline(far).head_timeout(far);
    let chain = chain.first_content_timeout(far).idle_timeout(far);
    let service = chain.layer(layer.layer(client));
    let response = tower::ServiceExt::oneshot(service, chat("m")).await.unwrap();
    assert_eq!(support::text(response).await, stream);
}
