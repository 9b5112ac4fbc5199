//! The memory that a pool needs, in measured bytes of the heap.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::alloc::System;

use http::{HeaderMap, StatusCode};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower_key_rotation::{ApiKey, KeyPool, ModelId, Provider};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Maximum number of bytes per unused key of a pool.
const IDLE: f64 = 1_024.0;

/// Maximum number of bytes per key and model with known limits of requests and tokens, and with a learned margin.
const LEARNED: f64 = 256.0;

/// A single test, because the counts are those of the whole process.
#[test]
fn a_key_needs_a_kilobyte_and_256_bytes_per_model() {
    let (idle, unused) = bytes_of(|| pool(1_000));
    println!("{:.0} bytes a key", idle / 1_000.0);
    assert!(idle / 1_000.0 <= IDLE);
    drop(unused);
    for (keys, models) in [(1_000, 4), (10_000, 50)] {
        let pool = pool(keys);
        let headers = headers();
        let models: Vec<_> = (0..models).map(|model| ModelId::from(format!("model-{model}"))).collect();
        let (learned, ()) = bytes_of(|| models.iter().for_each(|model| learn(&pool, keys, model, &headers)));
        let each = learned / (keys * models.len()) as f64;
        println!("{each:.0} bytes a key and model, of {keys} keys and {} models", models.len());
        assert!(each <= LEARNED, "{each}");
        let shown = &pool.snapshot().keys[keys - 1].model_limits;
        assert!(shown.len() == models.len() && shown[0].limits.len() == 2);
    }
}

/// Returns the number of bytes that `make` leaves allocated.
fn bytes_of<T>(make: impl FnOnce() -> T) -> (f64, T) {
    let region = Region::new(ALLOCATOR);
    let made = make();
    let change = region.change();
    (change.bytes_allocated as f64 - change.bytes_deallocated as f64, made)
}

fn pool(keys: usize) -> KeyPool {
    // The length of OpenAI's keys.
    let keys =
        (0..keys).map(|key| ApiKey::new(format!("sk-proj-{key:0>156}")).unwrap().id(format!("key-{key}")));
    KeyPool::builder(Provider::openai()).keys(keys).build().unwrap()
}

/// Observes one response for the model with every key.
fn learn(pool: &KeyPool, keys: usize, model: &ModelId, headers: &HeaderMap) {
    for _ in 0..keys {
        let mut lease = pool.acquire(Some(model)).unwrap();
        lease.observe(StatusCode::OK, headers, Some(model));
        lease.succeed();
    }
}

fn headers() -> HeaderMap {
    let headers = [
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "30000000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "29999990"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "0s"),
    ];
    headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}
