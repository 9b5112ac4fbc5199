//! The allocations that the layer adds to a request, counted rather than timed.
//!
//! The request is kept for another attempt, and so are its headers. A header value that is the only owner of its
//! buffer, like the one here, costs one allocation when it is first shared.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::alloc::System;
use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUESTS: usize = 1_000;
const KEYS: usize = 64;

/// Maximum number of allocations over the bare service, as the crate promises.
const PROMISED: usize = 8;

/// Maximum for responses that report limits: the model is found, and the limits are read.
const TELLING: usize = 13;

#[tokio::test]
async fn a_request_costs_at_most_eight_allocations() {
    let pool = pool();
    let bare = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(answer()) });
    let inner = service_fn(|_: Request<ReplayBody>| async { Ok::<_, Infallible>(answer()) });
    // A former subscriber leaves nothing behind.
    drop(pool.subscribe());
    let rotating = KeyRotationLayer::new(pool.clone()).layer(inner);

    let without = count(bare).await;
    let with = count(rotating.clone()).await;
    let more = (with - without) as f64 / REQUESTS as f64;
    println!("{more:.2} allocations a request more than the bare service");
    assert!(more <= PROMISED as f64, "{more:.2}");

    let bare = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(telling()) });
    let inner = service_fn(|_: Request<ReplayBody>| async { Ok::<_, Infallible>(telling()) });
    let without = count(bare).await;
    let more = count(KeyRotationLayer::new(self::pool()).layer(inner)).await - without;
    let more = more as f64 / REQUESTS as f64;
    println!("{more:.2} allocations a request more where answers tell of limits");
    assert!(more <= TELLING as f64, "{more:.2}");

    let _heard = pool.subscribe();
    assert!(count(rotating).await > with, "an event is put together only for somebody who listens");
}

fn pool() -> KeyPool {
    let keys = (0..KEYS).map(|key| ApiKey::new(format!("sk-{key}")).unwrap());
    KeyPool::builder(Provider::openai()).keys(keys).build().unwrap()
}

async fn count<S, B>(service: S) -> usize
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone,
    S::Error: std::fmt::Debug,
{
    for _ in 0..KEYS {
        service.clone().oneshot(request()).await.unwrap();
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..REQUESTS {
        let response = service.clone().oneshot(request()).await.unwrap();
        assert!(response.status().is_success());
    }
    region.change().allocations
}

fn request() -> Request<Full<Bytes>> {
    Request::post("https://api.openai.com/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Full::from(Bytes::from_static(br#"{"model":"m","messages":[]}"#)))
        .unwrap()
}

fn answer() -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", "application/json")
        .header("x-request-id", "1")
        .header("openai-organization", "acme-corporation")
        .header("openai-project", "proj_1234567890")
        .body(Full::from(Bytes::from_static(b"{}")))
        .unwrap()
}

fn telling() -> Response<Full<Bytes>> {
    let mut response = answer();
    for (name, value) in [
        ("x-ratelimit-limit-requests", "100000000"),
        ("x-ratelimit-limit-tokens", "4000000000"),
        ("x-ratelimit-remaining-requests", "99999999"),
        ("x-ratelimit-remaining-tokens", "3999999990"),
        ("x-ratelimit-reset-requests", "0s"),
        ("x-ratelimit-reset-tokens", "0s"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
