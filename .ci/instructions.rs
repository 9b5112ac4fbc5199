//! Sends requests through a layer or a chain, for counting instructions: see `.ci/instructions`.

use std::convert::Infallible;
use std::fmt::Debug;
use std::hint::black_box;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::runtime::Builder;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::fallback::{Commit, ProviderFallbackLayer, Route};
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let requests: usize = arguments[0].parse().expect("the number of requests");
    let read = arguments.get(2).is_some_and(|word| word == "read");
    let bare = |limits| service_fn(move |_: Request<Full<Bytes>>| async move { served(limits) });
    let client = |limits| service_fn(move |_: Request<ReplayBody>| async move { served(limits) });
    let link = |keys, limits| KeyRotationLayer::new(pool(keys)).layer(client(limits));
    let chain = |commit: Option<Commit>| {
        let (link, chain) = (link(8, false), ProviderFallbackLayer::new("first"));
        let chain = if let Some(commit) = commit { chain.commit(commit) } else { chain };
        let chain = chain.fallback("second", link.clone(), Route::new());
        chain.fallback("third", link.clone(), Route::new()).layer(link)
    };
    match arguments[1].as_str() {
        "bare" => send(requests, read, bare(false)),
        "bare_limits" => send(requests, read, bare(true)),
        "acquire" => lease(requests),
        "layer" => send(requests, read, link(64, false)),
        "limits" => send(requests, read, link(64, true)),
        "chain" => send(requests, read, chain(None)),
        "head" => send(requests, read, chain(Some(Commit::Head))),
        other => panic!("{other} is no mode"),
    }
}

fn send<S, B>(requests: usize, read: bool, service: S)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Debug> + Clone,
    B: Body<Error: Debug>,
{
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    for _ in 0..requests {
        let response = runtime.block_on(service.clone().oneshot(request())).unwrap();
        if read {
            black_box(runtime.block_on(response.into_body().collect()).unwrap());
        }
    }
}

fn lease(requests: usize) {
    let pool = pool(64);
    for _ in 0..requests {
        drop(black_box(pool.acquire(None)));
    }
}

/// Creates a pool of keys that are as long as those of OpenAI.
fn pool(keys: usize) -> KeyPool {
    let keys = (0..keys).map(|key| ApiKey::new(format!("sk-proj-{key:0>43}")).unwrap());
    KeyPool::builder(Provider::openai()).keys(keys).build().unwrap()
}

fn request() -> Request<Full<Bytes>> {
    Request::post("https://api.openai.com/v1/chat/completions")
        .header("content-type", "application/json")
        .body(Full::from(Bytes::from_static(br#"{"model":"gpt-4o","messages":[]}"#)))
        .unwrap()
}

fn served(limits: bool) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::builder().header("content-type", "application/json");
    if limits {
        response = response
            .header("openai-organization", "acme-corporation")
            .header("x-ratelimit-limit-requests", "100000000")
            .header("x-ratelimit-limit-tokens", "4000000000")
            .header("x-ratelimit-remaining-requests", "99999999")
            .header("x-ratelimit-remaining-tokens", "3999999990")
            .header("x-ratelimit-reset-requests", "0s")
            .header("x-ratelimit-reset-tokens", "0s");
    }
    Ok(response.body(Full::from(Bytes::from_static(b"{}"))).unwrap())
}
