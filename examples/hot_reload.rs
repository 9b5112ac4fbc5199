//! Changes the keys of a pool while requests run, on a simulated provider: adds a key, rotates a secret, and removes
//! a leaked key when its last request has ended.
//!
//! ```sh
//! cargo run --example hot_reload
//! ```

#![allow(clippy::print_stdout, reason = "an example may print")]

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tokio::time::interval;
use tower::{BoxError, Layer, ServiceExt};
use tower_key_rotation::key::Secret;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::{Latency, SimKey, Simulator};

const ORIGIN: &str = "http://provider.test";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let latency = Latency::Uniform(Duration::from_millis(20)..Duration::from_millis(120));
    let keys = ["first", "leaked"].map(|name| SimKey::new(name, format!("sk-{name}")));
    let provider = Simulator::openai().keys(keys).latency(latency).build();

    let keys = [ApiKey::new("sk-first")?.id("first"), ApiKey::new("sk-leaked")?.id("leaked")];
    let pool = KeyPool::builder(Provider::openai().with_origin(ORIGIN.parse()?)).keys(keys).build()?;
    // The layer is built once. It follows every change of the pool.
    let service = KeyRotationLayer::new(pool.clone()).layer(provider.clone());
    let requests = tokio::spawn(send(service, 300));

    wait().await;
    provider.add_key(SimKey::new("second", "sk-second"));
    pool.add(ApiKey::new("sk-second")?.id("second"))?;
    report(&pool, "added `second`");

    wait().await;
    provider.add_key(SimKey::new("rotated", "sk-rotated"));
    let draining = pool.replace(&"first".into(), Secret::new("sk-rotated")?)?;
    draining.drained().await;
    provider.key("first").revoke();
    report(&pool, "replaced the secret of `first`, which starts clean, and revoked the old one");

    wait().await;
    let draining = pool.remove(&"leaked".into())?;
    println!("removed `leaked`: {} requests in flight", draining.in_flight());
    draining.drained().await;
    provider.key("leaked").revoke();
    report(&pool, "revoked `leaked` after its last request");

    let failed = requests.await??;
    println!("300 requests, {failed} failed");
    Ok(())
}

/// Sends requests at an even pace. Returns the number of those that failed.
async fn send(service: KeyRotation<Simulator>, count: u32) -> Result<usize, BoxError> {
    let mut ticks = interval(Duration::from_millis(5));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..count {
        ticks.tick().await;
        let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
        let request = Request::post(format!("{ORIGIN}/v1/chat/completions"));
        let request = request.header("content-type", "application/json").body(Full::<Bytes>::from(body))?;
        let service = service.clone();
        running.spawn(async move {
            let Ok(response) = service.oneshot(request).await else { return false };
            response.status().is_success() && response.into_body().collect().await.is_ok()
        });
    }
    Ok(running.join_all().await.into_iter().filter(|served| !served).count())
}

async fn wait() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn report(pool: &KeyPool, change: &str) {
    println!("{change}");
    for key in pool.snapshot().keys {
        println!("  {:8} {:3} calls, {:2} in flight", key.id.as_str(), key.calls, key.in_flight);
    }
}
