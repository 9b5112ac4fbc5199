//! Refusals that state no wait, or one that served requests contradict: what a key may try, and how often.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/pool.rs"]
mod support;

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use http::{HeaderMap, Uri};
use tokio::time::{Instant, advance, sleep};
use tower_key_rotation::pool::{KeyPool, Lease};

use self::support::*;

const MS: Duration = Duration::from_millis(1);

/// Serves requests at this distance. The clock stands at the last one.
async fn serve(pool: &KeyPool, count: u32, apart: Duration) {
    for _ in 0..count {
        advance(apart).await;
        sent(pool).succeed();
    }
}

/// Waits for a key, and applies it to a request.
async fn waiting(pool: &KeyPool, patience: Duration) -> Option<Lease> {
    Some(send(pool.acquire_by(None, Instant::now() + patience).await.ok()?))
}

/// A lease whose key was applied to a request, so that it counts as sent.
fn sent(pool: &KeyPool) -> Lease {
    send(lease(pool))
}

fn send(lease: Lease) -> Lease {
    let mut uri = Uri::from_static("https://api.openai.com/v1/models");
    lease.apply_key(&mut uri, &mut HeaderMap::new()).unwrap();
    lease
}

// === no stated wait ===

#[tokio::test(start_paused = true)]
async fn a_key_that_was_serving_is_out_for_twice_the_time_since() {
    for (since, expected) in [(1, 5), (3, 6), (10, 20), (100, 200), (400, 800)] {
        let pool = pool(&["a"]);
        sent(&pool).succeed();
        advance(since * MS).await;
        sent(&pool).fail(&unhinted(), None);
        let wait = wait(&pool).unwrap();
        assert!(wait >= expected * MS && wait <= (expected + 1) * MS, "{since} ms: {wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_not_serving_is_out_for_a_second() {
    for since in [0, 600, 1_000, 5_000] {
        let pool = pool(&["a"]);
        sent(&pool).succeed();
        advance(since * MS).await;
        sent(&pool).fail(&unhinted(), None);
        assert!(wait(&pool).unwrap() >= SECOND, "{since} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_in_a_row_at_least_double_the_wait_and_then_follow_the_schedule() {
    let pool = pool(&["a"]);
    sent(&pool).succeed();
    advance(10 * MS).await;
    let mut waits = Vec::new();
    for _ in 0..12 {
        let lease = sent(&pool);
        assert!(waits.is_empty() || lease.is_probe(), "one request at a time");
        lease.fail(&unhinted(), None);
        waits.push(wait(&pool).unwrap());
        advance(*waits.last().unwrap()).await;
    }
    let short = waits.iter().filter(|wait| **wait < SECOND).count();
    assert!((2..=6).contains(&short), "{waits:?}");
    assert!(waits[..short].windows(2).all(|pair| pair[1] >= pair[0] * 2), "{waits:?}");
    for (wait, base) in waits[short..].iter().zip([1, 2, 4, 8]) {
        assert!(*wait >= base * SECOND && *wait <= base * SECOND * 5 / 4 + MS, "{waits:?}");
    }
}

/// A limit of a longer window: each search in vain costs more successes before the next one.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_out_for_long_is_tried_early_less_and_less() {
    let pool = pool(&["a"]);
    let (mut early, mut successes) = (0, 0);
    for _ in 0..64 {
        serve(&pool, 10, 20 * MS).await;
        successes += 10;
        let until = Instant::now() + 20 * SECOND;
        advance(20 * MS).await;
        while Instant::now() < until {
            if let Ok(lease) = pool.acquire(None) {
                lease.fail(&unhinted(), None);
            }
            let wait = wait(&pool).unwrap();
            early += u32::from(wait < SECOND);
            advance(wait).await;
        }
        advance(MINUTE).await;
        sent(&pool).succeed();
    }
    assert!(early * 5 < successes, "{early} early attempts, {successes} successes");
}

// === a stated wait ===

#[tokio::test(start_paused = true)]
async fn a_waiter_tries_a_key_before_a_second_that_successes_contradict() {
    let pool = pool(&["a"]);
    serve(&pool, 5, 20 * MS).await;
    advance(10 * MS).await;
    sent(&pool).fail(&limit(SECOND), None);
    let began = Instant::now();
    let attempt = waiting(&pool, 5 * SECOND).await.unwrap();
    let after = Instant::now() - began;
    assert!(attempt.is_probe() && after >= 10 * MS && after <= 50 * MS, "{after:?}");
    attempt.succeed();
    advance(30 * MS).await;
    assert_eq!(next(&pool), "a");
}

#[tokio::test(start_paused = true)]
async fn a_refused_attempt_restores_the_stated_wait() {
    let pool = pool(&["a"]);
    serve(&pool, 5, 20 * MS).await;
    advance(10 * MS).await;
    sent(&pool).fail(&limit(SECOND), None);
    waiting(&pool, 5 * SECOND).await.unwrap().fail(&limit(SECOND), None);
    let began = Instant::now();
    drop(waiting(&pool, 5 * SECOND).await.unwrap());
    assert_eq!(Instant::now() - began, SECOND);
}

#[tokio::test(start_paused = true)]
async fn one_request_tries_at_a_time() {
    let pool = pool(&["a"]);
    serve(&pool, 5, 20 * MS).await;
    advance(10 * MS).await;
    sent(&pool).fail(&limit(SECOND), None);
    let attempt = waiting(&pool, 5 * SECOND).await.unwrap();
    let began = Instant::now();
    let settled = async {
        sleep(SECOND * 3 / 10).await;
        attempt.succeed();
    };
    let (mut polls, mut second) = (0, pin!(waiting(&pool, 5 * SECOND)));
    let second = poll_fn(|cx| {
        polls += 1;
        second.as_mut().poll(cx)
    });
    let (second, ()) = tokio::join!(second, settled);
    assert!(second.is_some() && Instant::now() - began == SECOND * 3 / 10);
    assert!(polls <= 4, "the waiter sleeps while the other request tries: {polls} polls");
}

#[tokio::test(start_paused = true)]
async fn no_request_tries_early_without_need() {
    let pool = pool(&["a", "b"]);
    serve(&pool, 10, 10 * MS).await;
    advance(10 * MS).await;
    fail(&pool, "a", &limit(SECOND));
    advance(100 * MS).await;
    for _ in 0..5 {
        assert_eq!(next(&pool), "b", "a request that does not wait");
        assert_eq!(waiting(&pool, 5 * SECOND).await.unwrap().key_id().as_str(), "b", "another key is free");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_nothing_contradicts_is_kept() {
    for (apart, stated) in
        [(600 * MS, SECOND), (20 * MS, 2 * SECOND), (20 * MS, 20 * SECOND), (20 * MS, 30 * MS)]
    {
        let pool = pool(&["a"]);
        serve(&pool, 5, apart).await;
        advance(apart / 2).await;
        sent(&pool).fail(&limit(stated), None);
        let began = Instant::now();
        drop(waiting(&pool, MINUTE).await.unwrap());
        assert_eq!(Instant::now() - began, stated, "{apart:?} {stated:?}");
    }
}
