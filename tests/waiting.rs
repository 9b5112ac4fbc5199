//! Waiting for a key.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, advance, sleep, timeout};
use tokio_test::{assert_pending, assert_ready, task};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::pool::{Exhausted, Lease, UndoCooldown};
use tower_key_rotation::{ApiKey, KeyPool, ModelId, Provider};

const SECOND: Duration = Duration::from_secs(1);
/// Time that a wait leaves for an attempt in a pool that knows no response yet.
const ATTEMPT: Duration = Duration::from_millis(10);

fn pool(keys: usize) -> KeyPool {
    let keys = (0..keys).map(|key| ApiKey::new(format!("sk-{key}")).unwrap().id(format!("k{key}")));
    KeyPool::builder(Provider::openai()).keys(keys).build().unwrap()
}

/// Puts every key into a cooldown of this length.
fn begin_cooldown(pool: &KeyPool, wait: Duration) -> Vec<UndoCooldown> {
    std::iter::from_fn(|| Some(limit(pool.acquire(None).ok()?, wait))).collect()
}

fn limit(lease: Lease, wait: Duration) -> UndoCooldown {
    lease.fail(&Fault::new(Reason::RateLimited, Scope::Key).with_retry_after(wait), None).unwrap()
}

fn ask(pool: &KeyPool, within: Duration) -> JoinHandle<Result<Lease, Exhausted>> {
    let (pool, deadline) = (pool.clone(), Instant::now() + within);
    tokio::spawn(async move { pool.acquire_by(None, deadline).await })
}

/// Returns the result of acquiring a key, and the time that it took.
async fn timed(pool: &KeyPool, within: Duration) -> (Result<Lease, Exhausted>, Duration) {
    let began = Instant::now();
    let result = pool.acquire_by(None, began + within).await;
    (result, Instant::now() - began)
}

fn close(took: Duration, expected: Duration) -> bool {
    took.abs_diff(expected) <= Duration::from_millis(3)
}

#[tokio::test(start_paused = true)]
async fn a_usable_key_needs_no_wait() {
    let (lease, took) = timed(&pool(1), Duration::ZERO).await;
    assert!(lease.is_ok() && took.is_zero());
}

#[tokio::test(start_paused = true)]
async fn the_earliest_cooldown_wakes_a_waiter() {
    let pool = pool(2);
    let _first = limit(pool.acquire(None).unwrap(), 9 * SECOND);
    let _second = limit(pool.acquire(None).unwrap(), 5 * SECOND);
    let (lease, took) = timed(&pool, 60 * SECOND).await;
    assert_eq!(lease.unwrap().key_id().as_str(), "k1");
    assert!(close(took, 5 * SECOND), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_does_not_fit_is_refused() {
    let pool = pool(2);
    let _penalties = begin_cooldown(&pool, 30 * SECOND);
    for others_wait in [false, true] {
        let other = others_wait.then(|| ask(&pool, 60 * SECOND));
        yield_now().await;
        let (refused, took) = timed(&pool, 10 * SECOND).await;
        assert!(took.is_zero(), "though another waits: {others_wait}");
        assert!(close(refused.unwrap_err().retry_after().unwrap(), 30 * SECOND));
        drop(other);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_probe_ends_at_the_deadline() {
    let pool = pool(2);
    let _first = limit(pool.acquire(None).unwrap(), SECOND);
    advance(SECOND).await;
    let mut leases = [pool.acquire(None).unwrap(), pool.acquire(None).unwrap()];
    leases.sort_by_key(Lease::is_probe);
    let [other, probe] = leases;
    assert!(probe.is_probe() && !other.is_probe());
    let _second = limit(other, SECOND * 3 / 20);
    let (refused, took) = timed(&pool, SECOND / 20).await;
    assert!(refused.is_err() && close(took, SECOND / 20 - ATTEMPT), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_the_deadline() {
    let pool = pool(1);
    let _penalties = begin_cooldown(&pool, SECOND);
    advance(2 * SECOND).await;
    let probe = pool.acquire(None).unwrap();
    assert!(probe.is_probe());
    for _ in 0..2 {
        let (refused, took) = timed(&pool, 10 * SECOND).await;
        assert!(refused.unwrap_err().is_probing() && close(took, 10 * SECOND - ATTEMPT), "{took:?}");
    }
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn freeing_a_key_wakes_a_waiter() {
    type Free = fn(&KeyPool, Option<UndoCooldown>);
    let ways: [(&str, Free); 4] = [
        ("reset", |pool, _| pool.reset(&"k0".into()).unwrap()),
        ("reset all", |pool, _| pool.reset_all()),
        ("undo", |_, penalty| penalty.unwrap().undo()),
        ("enable", |pool, _| {
            pool.disable(&"k0".into()).unwrap();
            pool.reset_all();
            pool.enable(&"k0".into()).unwrap();
        }),
    ];
    for (way, free) in ways {
        let pool = pool(1);
        let penalty = begin_cooldown(&pool, 30 * SECOND).pop();
        let began = Instant::now();
        let waiting = ask(&pool, 60 * SECOND);
        sleep(SECOND).await;
        free(&pool, penalty);
        assert!(waiting.await.unwrap().is_ok());
        assert!(close(Instant::now() - began, SECOND), "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_probe_wakes_a_waiter() {
    type Settle = fn(Lease);
    let ways: [(&str, Settle, Duration); 3] = [
        ("success", Lease::succeed, SECOND),
        ("dropped", drop, SECOND),
        ("failed", |lease| drop(limit(lease, 4 * SECOND)), 5 * SECOND),
    ];
    for (way, settle, expected) in ways {
        let pool = pool(1);
        let _penalties = begin_cooldown(&pool, SECOND);
        advance(2 * SECOND).await;
        let probe = pool.acquire(None).unwrap();
        let began = Instant::now();
        let waiting = ask(&pool, 60 * SECOND);
        sleep(SECOND).await;
        settle(probe);
        assert!(waiting.await.unwrap().is_ok());
        let took = Instant::now() - began;
        assert!(close(took, expected), "{way}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_order() {
    let pool = pool(1);
    let _penalties = begin_cooldown(&pool, 5 * SECOND);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for number in 0..20 {
        let (pool, order, deadline) = (pool.clone(), Arc::clone(&order), Instant::now() + 60 * SECOND);
        waiting.push(tokio::spawn(async move {
            let lease = pool.acquire_by(None, deadline).await.unwrap();
            order.lock().unwrap().push(number);
            sleep(Duration::from_millis(10)).await;
            lease.succeed();
        }));
        yield_now().await;
    }
    for waiter in waiting {
        waiter.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn models_have_separate_queues() {
    let pool = pool(1);
    let fault = Fault::new(Reason::RateLimited, Scope::KeyModel);
    for (model, wait) in [("slow", 30), ("fast", 5)] {
        let fault = fault.clone().with_retry_after(wait * SECOND);
        drop(pool.acquire(None).unwrap().fail(&fault, Some(&ModelId::from(model))));
    }
    let ask = |model: &'static str| {
        let (pool, began) = (pool.clone(), Instant::now());
        tokio::spawn(async move {
            let lease = pool.acquire_by(Some(&model.into()), began + 60 * SECOND).await;
            lease.unwrap().succeed();
            Instant::now() - began
        })
    };
    let slow = ask("slow");
    yield_now().await;
    let (fast, other) = (ask("fast"), ask("other"));
    assert!(other.await.unwrap().is_zero());
    assert!(close(fast.await.unwrap(), 5 * SECOND));
    assert!(close(slow.await.unwrap(), 30 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_leaving_waiter_frees_its_place() {
    let pool = pool(1);
    let _penalties = begin_cooldown(&pool, 5 * SECOND);
    let wait = || {
        let (pool, deadline) = (pool.clone(), Instant::now() + 60 * SECOND);
        task::spawn(async move { pool.acquire_by(None, deadline).await })
    };
    let unpolled = wait();
    let [mut head, mut second, mut third, mut fourth] = [wait(), wait(), wait(), wait()];
    for waiter in [&mut head, &mut second, &mut third, &mut fourth] {
        assert_pending!(waiter.poll());
    }
    drop(unpolled);
    drop(second);
    assert_pending!(third.poll());
    drop(head);
    assert!(third.is_woken(), "the place passes on");
    assert_pending!(third.poll());
    pool.reset_all();
    assert!(third.is_woken());
    drop(third);
    assert!(fourth.is_woken(), "news that was not taken reaches the next");
    let lease = assert_ready!(fourth.poll()).unwrap();
    drop((lease, fourth));
    assert!(pool.acquire_by(None, Instant::now()).await.is_ok(), "nothing is left behind");
}

/// One probe after the other, as each cooldown ends.
#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_are_served_after_a_cooldown() {
    let pool = pool(3);
    let _penalties = begin_cooldown(&pool, 300 * SECOND);
    serve_a_thousand(&pool, || async { advance(300 * SECOND).await }).await;
}

/// On two threads, so that keys are freed while other requests begin to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost() {
    for _ in 0..3 {
        let pool = pool(3);
        let _penalties = begin_cooldown(&pool, 600 * SECOND);
        serve_a_thousand(&pool, || async { pool.reset_all() }).await;
    }
}

async fn serve_a_thousand<F: Future<Output = ()>>(pool: &KeyPool, free: impl FnOnce() -> F) {
    // A waiter that gets a key is done with it at once, so no earlier waiter waits for a later one.
    let use_one = |number: u32| {
        let (pool, deadline) = (pool.clone(), Instant::now() + 900 * SECOND);
        tokio::spawn(async move {
            let lease = pool.acquire_by(None, deadline).await.unwrap();
            if number.is_multiple_of(5) { drop(lease) } else { lease.succeed() }
        })
    };
    let waiting: Vec<_> = (0..1_000).map(use_one).collect();
    yield_now().await;
    free().await;
    for (number, waiter) in waiting.into_iter().enumerate() {
        if number % 3 == 0 {
            waiter.abort();
            continue;
        }
        timeout(10 * SECOND, waiter).await.expect("woken").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_freed_during_registration_is_seen() {
    for round in 0..500_u64 {
        let pool = pool(1);
        let _penalties = begin_cooldown(&pool, 600 * SECOND);
        let waiting = ask(&pool, 900 * SECOND);
        (0..round % 50).for_each(|_| std::hint::spin_loop());
        pool.reset_all();
        assert!(timeout(10 * SECOND, waiting).await.expect("woken").unwrap().is_ok());
    }
}
