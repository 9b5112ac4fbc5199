//! Cost of the rotation layer for a request that needs no rotation, around a service that does nothing.
//!
//! Compared with the bare service, and with tower's own retry and header layers, which also do nothing.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use tokio::runtime::{Builder, Runtime};
use tower::retry::{Policy, RetryLayer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::set_header::SetRequestHeaderLayer;
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};

fn layer(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let mut group = criterion.benchmark_group("layer");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));

    let bare = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(answer()) });
    group.bench_function("bare", |bencher| bencher.iter(|| run(&runtime, bare)));

    let header = SetRequestHeaderLayer::overriding(AUTHORIZATION, HeaderValue::from_static("Bearer sk-1"));
    let by_tower = ServiceBuilder::new().layer(RetryLayer::new(Never)).layer(header).service(bare);
    group
        .bench_function("tower_retry_and_header", |bencher| bencher.iter(|| run(&runtime, by_tower.clone())));

    for keys in [1, 64, 10_000] {
        let inner = service_fn(|_: Request<ReplayBody>| async { Ok::<_, Infallible>(answer()) });
        let rotating = KeyRotationLayer::new(pool(keys));
        let service = ServiceBuilder::new().layer(rotating).service(inner);
        group.bench_function(format!("rotation_{keys}_keys"), |bencher| {
            bencher.iter(|| run(&runtime, service.clone()));
        });
    }

    let telling = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(telling()) });
    group.bench_function("bare_telling_limits", |bencher| bencher.iter(|| run(&runtime, telling)));
    let inner = service_fn(|_: Request<ReplayBody>| async { Ok::<_, Infallible>(self::telling()) });
    let service = KeyRotationLayer::new(pool(64)).layer(inner);
    group.bench_function("rotation_telling_limits", |bencher| {
        bencher.iter(|| run(&runtime, service.clone()));
    });
    group.finish();
}

fn run<S, B>(runtime: &Runtime, service: S) -> S::Response
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
{
    runtime.block_on(service.oneshot(request())).unwrap()
}

fn pool(keys: usize) -> KeyPool {
    let keys = (0..keys).map(|key| ApiKey::new(format!("sk-{key}")).unwrap());
    KeyPool::builder(Provider::openai()).keys(keys).build().unwrap()
}

fn request() -> Request<Full<Bytes>> {
    Request::post("https://api.openai.com/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Full::from(Bytes::from_static(br#"{"model":"gpt-4o","messages":[]}"#)))
        .unwrap()
}

fn answer() -> Response<Full<Bytes>> {
    Response::builder().header("content-type", "application/json").body(Full::default()).unwrap()
}

/// Returns a response as OpenAI sends it, with ample limits and the account that they belong to.
fn telling() -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", "application/json")
        .header("openai-organization", "acme-corporation")
        .header("x-ratelimit-limit-requests", "100000000")
        .header("x-ratelimit-limit-tokens", "4000000000")
        .header("x-ratelimit-remaining-requests", "99999999")
        .header("x-ratelimit-remaining-tokens", "3999999990")
        .header("x-ratelimit-reset-requests", "0s")
        .header("x-ratelimit-reset-tokens", "0s")
        .body(Full::default())
        .unwrap()
}

/// A retry policy that copies the request, as it must, and never retries.
#[derive(Clone)]
struct Never;

impl<R, E> Policy<Request<Full<Bytes>>, R, E> for Never {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Request<Full<Bytes>>, _: &mut Result<R, E>) -> Option<Self::Future> {
        None
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

criterion_group!(benches, layer);
criterion_main!(benches);
