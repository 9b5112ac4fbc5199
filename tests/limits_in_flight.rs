//! Declared limits while requests are in flight: reservations, corrections and releases, through the layer.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use http::StatusCode;
use support::{at_sim, chat, chat_stream, key, openai, secret, send, served, text};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::limits::{Estimate, Quota};
use tower_key_rotation::pool::KeyPoolBuilder;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::{ApiKey, Deadline, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::{Latency, SimFault, Simulator};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// A pool of one key with this limit.
fn limited(quotas: impl IntoIterator<Item = Quota>) -> KeyPool {
    let key = ApiKey::new(secret("a")).unwrap().id("a");
    let builder = KeyPool::builder(at_sim(Provider::openai())).key(key);
    quotas.into_iter().fold(builder, KeyPoolBuilder::quota).build().unwrap()
}

fn left(pool: &KeyPool) -> u64 {
    pool.snapshot().keys[0].limits[0].remaining
}

fn thinking(pool: &KeyPool, sim: &Simulator, tokens: u64) -> KeyRotation<Simulator> {
    let estimate = Estimate::new().input_tokens(tokens);
    let layer = KeyRotationLayer::new(pool.clone()).estimate_with(move |_, _| estimate);
    layer.wait_for_key(true).layer(sim.clone())
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_held_until_the_body_ends() {
    let (pool, sim) = (limited([Quota::concurrent(2)]), openai([key("a")]));
    let service = support::rotating(&pool, &sim);
    let [one, other] = [send(&service, chat_stream("m")).await, send(&service, chat_stream("m")).await];
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(left(&pool), 0);
    send(&service, chat("m")).await.unwrap_err();
    assert_eq!(sim.calls(), 2, "no call was spent on a place that is taken");
    text(one).await;
    assert_eq!(left(&pool), 1);
    drop(other);
    assert_eq!(left(&pool), 2);
}

#[tokio::test(start_paused = true)]
async fn a_kept_record_of_a_response_is_no_request_in_flight() {
    let (pool, sim) = (limited([Quota::concurrent(1)]), openai([key("a")]));
    let response = send(&support::rotating(&pool, &sim), chat_stream("m")).await.unwrap();
    let _kept = served(&response).clone();
    let draining = pool.drain(&"a".into()).unwrap();
    assert_eq!((pool.snapshot().keys[0].in_flight, draining.in_flight()), (1, 1));
    text(response).await;
    assert_eq!((pool.snapshot().keys[0].in_flight, left(&pool)), (0, 1));
    timeout(SECOND, draining.drained()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_compressed_response_is_in_flight_until_its_end() {
    let pool = limited([Quota::concurrent(1)]);
    let client = service_fn(|_: http::Request<ReplayBody>| async {
        let response = http::Response::builder().header("content-encoding", "zstd");
        response.body(http_body_util::Full::<bytes::Bytes>::from("compressed"))
    });
    let service = KeyRotationLayer::new(pool.clone()).layer(client);
    let response = send(&service, chat("m")).await.unwrap();
    let _kept = served(&response).clone();
    assert_eq!(left(&pool), 0);
    text(response).await;
    assert_eq!((pool.snapshot().keys[0].in_flight, left(&pool)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn every_end_releases_concurrency() {
    let pool = limited([Quota::concurrent(1)]);
    let slow = Simulator::openai().key(key("a")).latency(Latency::Fixed(SECOND)).build();
    let service = support::rotating(&pool, &slow);
    timeout(SECOND / 2, send(&service, chat("m"))).await.unwrap_err();
    assert_eq!(left(&pool), 1, "cancelled before the head");
    let response = send(&service, chat_stream("m")).await.unwrap();
    assert_eq!(left(&pool), 0);
    drop(response);
    assert_eq!(left(&pool), 1, "dropped midway");
    for fault in
        [SimFault::status(500), SimFault::status(400), SimFault::Reset, SimFault::rate_limited(SECOND)]
    {
        slow.key("a").fail(1, fault.clone());
        let _ = send(&service, chat("m")).await;
        assert_eq!(left(&pool), 1, "{fault:?}");
        pool.reset_all();
    }
    assert!(!text(send(&service, chat("m")).await.unwrap()).await.is_empty());
    assert_eq!(left(&pool), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_body_wakes_a_waiter() {
    let (pool, sim) = (limited([Quota::concurrent(1)]), openai([key("a")]));
    let service = thinking(&pool, &sim, 0);
    let first = send(&service, chat_stream("m")).await.unwrap();
    let began = Instant::now();
    let waiting = tokio::spawn(later(service.clone()));
    sleep(SECOND).await;
    assert_eq!(sim.calls(), 1);
    drop(first);
    assert_eq!(waiting.await.unwrap(), StatusCode::OK);
    assert_eq!(Instant::now(), began + SECOND);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_estimated_and_corrected_up_and_down() {
    for estimate in [1, 500] {
        let (pool, sim) = (limited([Quota::tokens(1_000).per_day()]), openai([key("a")]));
        let service = thinking(&pool, &sim, estimate);
        let response = send(&service, chat("m")).await.unwrap();
        let seen = served(&response).clone();
        assert_eq!(left(&pool), 1_000 - estimate, "as thought until the answer has ended");
        text(response).await;
        let counted = seen.usage().unwrap().total_tokens.unwrap();
        assert!(counted > 1 && counted < 500);
        assert_eq!(left(&pool), 1_000 - counted);
    }
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_response_counts_as_estimated() {
    let (pool, sim) = (limited([Quota::tokens(1_000).per_day()]), openai([key("a")]));
    drop(send(&thinking(&pool, &sim, 300), chat_stream("m")).await.unwrap());
    assert_eq!(left(&pool), 700);
}

#[tokio::test(start_paused = true)]
async fn refused_requests_return_their_tokens() {
    let (pool, sim) = (limited([Quota::tokens(1_000).per_day()]), openai([key("a")]));
    let service = KeyRotationLayer::new(pool.clone());
    let service = service.estimate_with(|_, _| Estimate::new().input_tokens(300));
    let service = service.layer(sim.clone());
    for fault in [SimFault::rate_limited(SECOND), SimFault::status(401)] {
        sim.key("a").fail(1, fault.clone());
        let _ = send(&service, chat("m")).await;
        assert_eq!(left(&pool), 1_000, "{fault:?}");
        pool.reset_all();
    }
}

#[tokio::test(start_paused = true)]
async fn a_correction_wakes_a_waiter() {
    let (pool, sim) = (limited([Quota::tokens(1_000).per_day()]), openai([key("a")]));
    let service = thinking(&pool, &sim, 900);
    let first = send(&service, chat("m")).await.unwrap();
    let began = Instant::now();
    let waiting = tokio::spawn(later(service.clone()));
    sleep(SECOND).await;
    assert_eq!(sim.calls(), 1);
    text(first).await;
    assert_eq!(waiting.await.unwrap(), StatusCode::OK);
    assert_eq!(Instant::now(), began + SECOND);
}

/// Requests a key with more patience than any limit here needs.
async fn later(service: KeyRotation<Simulator>) -> StatusCode {
    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(Instant::now() + DAY * 2));
    send(&service, request).await.unwrap().status()
}
