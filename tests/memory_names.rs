//! Model names that callers make up take no memory, in measured bytes of the heap.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::alloc::System;
use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{Layer, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::limits::Quota;
use tower_key_rotation::pool::KeyPoolBuilder;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, ModelId, Provider};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: isize = 1024 * 1024;

/// A single test, because the counts are those of the whole process.
#[tokio::test]
async fn names_that_callers_make_up_take_no_memory() {
    let read = bytes_to_read_a_long_name();
    assert!(read < 64 * 1024, "{read} bytes to read a long name");
    for (status, quota) in [(200, None), (429, None), (200, Some("*"))] {
        let pool = pool(quota);
        let mut heard = pool.subscribe();
        let kept = bytes_after(|| long_names(&pool, status)).await;
        println!("{kept} bytes after long names, status {status}, limits for {quota:?}");
        assert!(kept < MIB, "{kept} bytes, status {status}, limits for {quota:?}");
        let other = self::pool(quota);
        let kept = bytes_after(|| async { short_names(&other) }).await;
        println!("{kept} bytes after short names");
        assert!(kept < 8 * MIB, "{kept} bytes, limits for {quota:?}");
        let _ = heard.next().now_or_never();
    }
}

/// Returns the bytes that are allocated to find out that a name is too long.
fn bytes_to_read_a_long_name() -> usize {
    let body = Bytes::from(format!(r#"{{"model":"{}","messages":[]}}"#, "x".repeat(2_000_000)));
    let region = Region::new(ALLOCATOR);
    assert_eq!(Provider::openai().model_in_body(None, &[body]), None);
    region.change().bytes_allocated
}

async fn bytes_after<F: Future<Output = ()>>(run: impl FnOnce() -> F) -> isize {
    let region = Region::new(ALLOCATOR);
    run().await;
    let change = region.change();
    change.bytes_allocated.cast_signed() - change.bytes_deallocated.cast_signed()
}

fn pool(models: Option<&str>) -> KeyPool {
    let keys = (0..4).map(|key| ApiKey::new(format!("sk-{key}")).unwrap().id(format!("key-{key}")));
    let pool = KeyPool::builder(support::at_sim(Provider::openai())).keys(keys);
    let quota = models.map(|models| Quota::requests(9).per_day().for_models(models));
    quota.into_iter().fold(pool, KeyPoolBuilder::quota).build().unwrap()
}

/// Different names of two megabytes each.
async fn long_names(pool: &KeyPool, status: u16) {
    let client = service_fn(move |request: Request<ReplayBody>| async move {
        let _sent = request.into_body().collect().await;
        let response = Response::builder().status(status).header("x-ratelimit-limit-requests", "900");
        let response = response.header("x-ratelimit-remaining-requests", "899");
        Ok::<_, Infallible>(response.body(Full::new(Bytes::from_static(b"{}"))).unwrap())
    });
    let layer = KeyRotationLayer::new(pool.clone());
    for number in 0..40 {
        let model = format!("{number}{}", "x".repeat(2_000_000));
        let _failed = layer.layer(client).oneshot(support::chat(&model)).await.map(drop);
    }
}

/// Short names, each rate limited at the provider and each with limits of its own.
fn short_names(pool: &KeyPool) {
    let mut headers = HeaderMap::new();
    headers.insert("x-ratelimit-limit-requests", "900".parse().unwrap());
    headers.insert("x-ratelimit-remaining-requests", "899".parse().unwrap());
    let fault = Fault::new(Reason::RateLimited, Scope::AccountModel);
    for number in 0..5_000 {
        let model = ModelId::from(format!("model-{number}"));
        let Ok(mut lease) = pool.acquire(Some(&model)) else { continue };
        lease.observe(StatusCode::TOO_MANY_REQUESTS, &headers, Some(&model));
        drop(lease.fail(&fault, Some(&model)));
    }
}
