//! Cost of a chain of three links for a request that the first link serves, compared with the first link
//! alone.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::Full;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::{ProviderFallbackLayer, Route};
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};

fn chain(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let mut group = criterion.benchmark_group("chain");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));

    let inner = service_fn(|_: Request<ReplayBody>| async { Ok::<_, Infallible>(answer()) });
    let link = KeyRotationLayer::new(pool()).layer(inner);
    group.bench_function("first_alone", |bencher| bencher.iter(|| run(&runtime, link.clone())));

    let three = ProviderFallbackLayer::new("first")
        .fallback("second", link.clone(), Route::new())
        .fallback("third", link.clone(), Route::new())
        .layer(link);
    group.bench_function("first_of_three", |bencher| bencher.iter(|| run(&runtime, three.clone())));
    group.finish();
}

fn run<S, B>(runtime: &Runtime, service: S) -> S::Response
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
{
    runtime.block_on(service.oneshot(request())).unwrap()
}

fn pool() -> KeyPool {
    let keys = (0..8).map(|key| ApiKey::new(format!("sk-{key}")).unwrap());
    KeyPool::builder(Provider::openai()).keys(keys).build().unwrap()
}

fn request() -> Request<Full<Bytes>> {
    Request::post("https://api.openai.com/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Full::from(Bytes::from_static(br#"{"model":"gpt-4o","messages":[]}"#)))
        .unwrap()
}

fn answer() -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", "application/json")
        .body(Full::from(Bytes::from_static(b"{}")))
        .unwrap()
}

criterion_group!(benches, chain);
criterion_main!(benches);
