//! Many requests on few limited keys: every request is served, and hardly a call is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{Deadline, KeyRotationLayer};
use tower_key_rotation_sim::{Latency, Limits, Simulator};

use support::{chat, key, pool, text};

const KEYS: [&str; 3] = ["a", "b", "c"];
const REQUESTS: u32 = 1_000;
const PER_SECOND: u32 = 50;
const BURST: u32 = 10;

/// Minimum time in which the limits allow all requests, since every bucket is full at first.
const LEAST: Duration = Duration::from_millis(
    (REQUESTS - KEYS.len() as u32 * BURST) as u64 * 1_000 / (KEYS.len() as u32 * PER_SECOND) as u64,
);

/// The time that is needed if 97 % of the limits are used.
const ALLOWED: Duration = Duration::from_micros(LEAST.as_micros() as u64 * 100 / 97);

/// Maximum time that the provider takes for a response.
const LATENCY: Duration = Duration::from_millis(60);

#[tokio::test(start_paused = true)]
async fn known_limits_waste_hardly_a_call() {
    let (sim, service) = three_limited_keys();
    for _ in KEYS {
        ask(service.clone()).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    sim.reset_counts();
    let wasted = a_thousand_at_once(&sim, &service).await;
    assert!(wasted * 100 <= sim.calls(), "{wasted} of {}", sim.calls());
}

/// No limit is known before the first response, so the first volley is sent as it comes. It is the only one, and
/// costs no time.
#[tokio::test(start_paused = true)]
async fn unknown_limits_cost_one_volley() {
    let (sim, service) = three_limited_keys();
    let wasted = a_thousand_at_once(&sim, &service).await;
    assert!(wasted <= u64::from(REQUESTS + REQUESTS / 20), "{wasted}");
}

/// Returns the number of wasted calls.
async fn a_thousand_at_once(sim: &Simulator, service: &KeyRotation<Simulator>) -> u64 {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..REQUESTS {
        running.spawn(ask(service.clone()));
    }
    let answered = running.join_all().await.into_iter().filter(|answered| *answered).count();
    let took = Instant::now() - began;
    let wasted = sim.calls() - sim.tally().with(StatusCode::OK);
    let seen = format!("{answered} answered, {wasted} of {} calls wasted, in {took:?}", sim.calls());
    assert_eq!(answered, REQUESTS as usize, "{seen}");
    assert!(LEAST <= took && took <= ALLOWED + LATENCY, "{seen}");
    wasted
}

async fn ask(service: KeyRotation<Simulator>) -> bool {
    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(Instant::now() + Duration::from_secs(30)));
    let Ok(response) = service.oneshot(request).await else { return false };
    let served = response.status().is_success();
    text(response).await;
    served
}

fn three_limited_keys() -> (Simulator, KeyRotation<Simulator>) {
    let limits = Limits::new().requests_per_second(PER_SECOND).burst(BURST);
    let sim = Simulator::openai()
        .keys(KEYS.map(|label| key(label).limits(limits)))
        .latency(Latency::Uniform(LATENCY / 3..LATENCY))
        .build();
    let layer = KeyRotationLayer::new(pool(&KEYS)).wait_for_key(true);
    (sim.clone(), layer.layer(sim))
}

/// A key gets more requests than it allows, and each response comes after later requests were sent. An error that
/// several responses show is corrected once.
#[tokio::test(start_paused = true)]
async fn an_overloaded_key_is_used_to_its_limit() {
    for (burst, asked) in [(BURST, 600), (1, 600)] {
        let limits = Limits::new().requests_per_second(PER_SECOND).burst(burst);
        let latency = Latency::Uniform(LATENCY / 3..LATENCY);
        let sim = Simulator::openai().key(key("a").limits(limits)).latency(latency).build();
        let service = KeyRotationLayer::new(pool(&["a"])).wait_for_key(true).layer(sim.clone());
        let began = Instant::now();
        let mut running = JoinSet::new();
        for number in 0..asked {
            running.spawn(ask_at(service.clone(), began + number * Duration::from_millis(15)));
        }
        running.join_all().await;
        let took = (Instant::now() - began).as_secs_f64();
        let served = sim.tally().with(StatusCode::OK) as f64;
        let wasted = sim.calls() - sim.tally().with(StatusCode::OK);
        let seen =
            format!("burst {burst}: {served} served in {took:.2} s, {wasted} of {} wasted", sim.calls());
        assert!(wasted * 100 <= sim.calls(), "{seen}");
        assert!(served >= 0.97 * f64::from(PER_SECOND) * took, "{seen}");
    }
}

/// A request may take three milliseconds longer to the provider than the next one, which then comes too early for a
/// key without burst.
#[tokio::test(start_paused = true)]
async fn uneven_latency_is_hardly_ever_refused() {
    let limits = Limits::new().requests_per_second(PER_SECOND).burst(1);
    let latency = Latency::Uniform(LATENCY / 3..LATENCY);
    let sim = Simulator::openai().key(key("a").limits(limits)).latency(latency).build();
    let (provider, rng) = (sim.clone(), Arc::new(Mutex::new(Rng::with_seed(1))));
    let uneven = service_fn(move |request: Request<ReplayBody>| {
        let way = Duration::from_millis(rng.lock().unwrap().u64(0..=3));
        let provider = provider.clone();
        async move {
            tokio::time::sleep(way).await;
            provider.oneshot(request).await
        }
    });
    let service = KeyRotationLayer::new(pool(&["a"])).wait_for_key(true).layer(uneven);
    let (began, mut running) = (Instant::now(), JoinSet::new());
    for number in 0..1_200 {
        running.spawn(ask_at(service.clone(), began + number * Duration::from_millis(15)));
    }
    tokio::time::sleep_until(began + Duration::from_secs(6)).await;
    sim.reset_counts();
    tokio::time::sleep_until(began + Duration::from_secs(18)).await;
    let served = sim.tally().with(StatusCode::OK);
    let wasted = sim.calls() - served;
    let seen = format!("{served} served in 12 s, {wasted} of {} wasted", sim.calls());
    assert!(wasted * 100 <= sim.calls(), "{seen}");
    assert!(served >= 12 * u64::from(PER_SECOND) * 8 / 10, "{seen}");
    running.join_all().await;
}

async fn ask_at<S, B>(service: S, due: Instant) -> bool
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    B: Body<Error: Into<BoxError>>,
{
    tokio::time::sleep_until(due).await;
    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(due + Duration::from_secs(1)));
    let Ok(response) = service.oneshot(request).await else { return false };
    text(response).await;
    true
}
