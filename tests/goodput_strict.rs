//! Strict limits that are not declared: a key refuses a request that comes too soon after the one before it, and
//! states the wait, or none, or a wrong one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/strict.rs"]
mod strict;
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::{Deadline, KeyRotationLayer};

use strict::{Reported, Stated, Strict};
use support::{chat, pool, text};

/// Keys, the limit of each, and the load.
#[derive(Clone, Copy)]
struct Load {
    keys: &'static [&'static str],
    per_second: u32,
    offered: u32,
}

const THREE: Load = Load { keys: &["a", "b", "c"], per_second: 50, offered: 120 };
const SECONDS: u32 = 8;
const SEEDS: std::ops::Range<u64> = 0..3;
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn a_limit_is_found_from_true_waits() {
    keeps_to(Stated::Truth).await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_found_without_waits() {
    keeps_to(Stated::Nothing).await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_found_behind_rounded_waits() {
    keeps_to(Stated::Seconds).await;
    for step in [50, 100, 250, 500] {
        keeps_to(Stated::RoundedUpTo(Duration::from_millis(step))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_found_that_counts_refusals() {
    for stated in [Stated::Truth, Stated::Nothing, Stated::Seconds] {
        for seed in SEEDS {
            let upstream = Strict::new(THREE.per_second, stated, Reported::Nothing).counting_refusals();
            check(THREE, upstream, seed).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn limits_of_other_sizes_are_found() {
    let loads = [
        Load { keys: &["a"], per_second: 100, offered: 70 },
        Load { keys: &["a", "b"], per_second: 20, offered: 32 },
        Load { keys: &["a", "b", "c", "d", "e", "f"], per_second: 10, offered: 48 },
    ];
    for load in loads {
        for stated in [Stated::Nothing, Stated::Seconds] {
            for seed in SEEDS {
                check(load, Strict::new(load.per_second, stated, Reported::Nothing), seed).await;
            }
        }
    }
}

async fn keeps_to(stated: Stated) {
    for reported in [Reported::Nothing, Reported::Plenty, Reported::PlentyAlways] {
        for seed in SEEDS {
            check(THREE, Strict::new(THREE.per_second, stated, reported), seed).await;
        }
    }
}

async fn check(load: Load, upstream: Strict, seed: u64) {
    let name = format!(
        "{:?} {:?} {seed} {}x{}",
        upstream.stated,
        upstream.reported,
        load.keys.len(),
        load.per_second
    );
    let upstream = Arc::new(upstream);
    let (provider, rng) = (Arc::clone(&upstream), Arc::new(Mutex::new(Rng::with_seed(seed))));
    let uneven = service_fn(move |request: Request<ReplayBody>| {
        let key = request.headers()["authorization"].to_str().unwrap().to_owned();
        // A busy machine: requests do not travel evenly.
        let (way, back) = {
            let mut rng = rng.lock().unwrap();
            (Duration::from_micros(rng.u64(0..=3_000)), Duration::from_micros(rng.u64(20_000..60_000)))
        };
        let provider = Arc::clone(&provider);
        async move {
            sleep(way).await;
            let response = provider.respond(&key);
            sleep(back).await;
            Ok::<_, BoxError>(response)
        }
    });
    let (served, all) = offer(load, seed, uneven).await;
    let (calls, refused) = upstream.calls();
    let wasted = refused as f64 / f64::from(all);
    let seen = format!("{name}: {served} of {all} served, {refused} of {calls} calls refused: {wasted:.3}");
    assert!(served * 100 >= all * 99 && wasted <= 0.3, "{seen}");
}

/// Returns how many requests were served, and how many there were.
async fn offer<S, B>(load: Load, seed: u64, upstream: S) -> (u32, u32)
where
    S: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = KeyRotationLayer::new(pool(load.keys)).wait_for_key(true).layer(upstream);
    let mut rng = Rng::with_seed(seed);
    let all = load.offered * SECONDS;
    let mut times: Vec<_> = (0..all)
        .map(|number| Duration::from_secs_f64(f64::from(number / load.offered) + rng.f64()))
        .collect();
    times.sort();
    let (began, mut running) = (Instant::now(), JoinSet::new());
    for due in times {
        let service = service.clone();
        running.spawn(async move {
            sleep_until(began + due).await;
            let mut request: Request<Full<Bytes>> = chat("m");
            request.extensions_mut().insert(Deadline::at(began + due + PATIENCE));
            let Ok(response) = service.oneshot(request).await else { return 0 };
            let served = response.status().is_success();
            text(response).await;
            u32::from(served)
        });
    }
    (running.join_all().await.into_iter().sum(), all)
}
