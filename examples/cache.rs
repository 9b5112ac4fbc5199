//! A response cache outside the rotation layer: a hit takes no key and consumes no quota.
//!
//! The cache keeps successful responses that are not event streams, by method, URL and
//! body, for requests that ask for it with `x-cache: 1`: the same prompt may deserve another response.
//!
//! `cargo run --example cache` needs no network.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::{SimKey, Simulator};

type Key = (Method, Uri, Bytes);

/// Responses by request. A real cache also bounds its size and the age of its entries.
#[derive(Clone, Default)]
struct Cache(Arc<Mutex<HashMap<Key, Response<Bytes>>>>);

impl Cache {
    fn get(&self, key: &Key) -> Option<Response<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: Key, response: &Response<Bytes>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, response.clone());
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let sim = Simulator::openai().key(SimKey::new("one", "sk-one")).build();
    let provider = Provider::openai().with_origin("http://sim.test".parse()?);
    let pool = KeyPool::builder(provider).key(ApiKey::new("sk-one")?.id("one")).build()?;
    let rotating = ServiceBuilder::new().layer(KeyRotationLayer::new(pool.clone())).service(sim.clone());

    let cache = Cache::default();
    let cached = service_fn(|request: Request<Full<Bytes>>| {
        let (cache, rotating) = (cache.clone(), rotating.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let key = head
                .headers
                .contains_key("x-cache")
                .then(|| (head.method.clone(), head.uri.clone(), body.clone()));
            if let Some(hit) = key.as_ref().and_then(|key| cache.get(key)) {
                return Ok::<_, BoxError>(hit);
            }
            let response = rotating.oneshot(Request::from_parts(head, Full::new(body))).await?;
            let (head, body) = response.into_parts();
            let response = Response::from_parts(head, body.collect().await?.to_bytes());
            let is_stream =
                response.headers().get("content-type").is_some_and(|it| it == "text/event-stream");
            if let Some(key) = key.filter(|_| response.status().is_success() && !is_stream) {
                cache.put(key, &response);
            }
            Ok(response)
        }
    });

    for _ in 0..5 {
        let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
        let request = Request::post("http://sim.test/v1/chat/completions")
            .header("content-type", "application/json")
            .header("x-cache", "1")
            .body(Full::<Bytes>::from(body))?;
        let response = cached.oneshot(request).await?;
        println!("{}: {} bytes", response.status(), response.body().len());
    }
    println!("calls of the provider: {}; uses of the key: {}", sim.calls(), pool.snapshot().keys[0].calls);
    assert_eq!((sim.calls(), pool.snapshot().keys[0].calls), (1, 1));
    Ok(())
}
