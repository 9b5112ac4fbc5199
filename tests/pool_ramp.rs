//! Slow start: a scope that has just recovered from a limit gets few requests at first.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

#[path = "support/pool.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::pool::{Cooldowns, KeyPool, Lease};
use tower_key_rotation::provider::ModelId;

use self::support::*;

/// The pool after its first key was limited and its probe has succeeded.
async fn recovered(pool: KeyPool, fault: &Fault, model: Option<&ModelId>) -> KeyPool {
    pool.acquire(model).unwrap().fail(fault, model);
    advance(exhausted(&pool, model).retry_after().unwrap()).await;
    pool.acquire(model).unwrap().succeed();
    pool
}

async fn one_key() -> KeyPool {
    recovered(pool(&["a"]), &limit(SECOND), None).await
}

/// Acquires all leases that are available at a time, but no more than 100.
fn all(pool: &KeyPool, model: Option<&ModelId>) -> Vec<Lease> {
    std::iter::from_fn(|| pool.acquire(model).ok()).take(100).collect()
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_doubles_with_each_success() {
    let pool = one_key().await;
    for allowed in [2, 4, 8, 16, 32, 64] {
        let mut leases = all(&pool, None);
        assert_eq!(leases.len(), allowed);
        leases.pop().unwrap().succeed();
    }
    assert_eq!(all(&pool, None).len(), 100, "nobody counts any more");
}

#[tokio::test(start_paused = true)]
async fn sequential_requests_are_not_slowed() {
    let pool = one_key().await;
    for round in 0..100 {
        let lease = lease(&pool);
        match round % 3 {
            0 => drop(lease),
            1 => drop(lease.fail(&Fault::new(Reason::ServerError, Scope::Provider), None)),
            _ if round > 90 => lease.succeed(),
            _ => drop(lease),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_slow_start_is_no_cooldown() {
    let pool = one_key().await;
    let mut leases = all(&pool, None);
    let exhausted = exhausted(&pool, None);
    assert!(exhausted.is_probing() && exhausted.retry_after().is_none());
    drop(leases.pop());
    assert_eq!(all(&pool, None).len(), 1, "its place is free, and no more than its place");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_waiters_are_served_gradually() {
    let pool = pool(&["a"]);
    lease(&pool).fail(&limit(SECOND), None);
    let (out, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    let deadline = Instant::now() + MINUTE;
    for _ in 0..100 {
        let (pool, out, done) = (pool.clone(), Arc::clone(&out), Arc::clone(&done));
        tasks.spawn(async move {
            let lease = pool.acquire_by(None, deadline).await.unwrap();
            let allowed = 1 << done.load(Ordering::SeqCst).min(7);
            let before = out.fetch_add(1, Ordering::SeqCst);
            assert!(before < allowed, "{before} out of {allowed}");
            sleep(SECOND).await;
            out.fetch_sub(1, Ordering::SeqCst);
            done.fetch_add(1, Ordering::SeqCst);
            lease.succeed();
        });
    }
    let began = Instant::now();
    tasks.join_all().await;
    assert_eq!(done.load(Ordering::SeqCst), 100);
    // 1 s cooldown; then 1, 2, 8 and the rest.
    assert_eq!(Instant::now().checked_duration_since(began), Some(5 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_account_share_its_slow_start() {
    let pool = builder().keys(["a", "b", "c"].map(|name| key(name).account("org"))).build().unwrap();
    let fault = Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(SECOND);
    let pool = recovered(pool, &fault, None).await;
    assert_eq!(all(&pool, None).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_of_a_model_concerns_no_other() {
    let (slow, other) = (model("slow"), model("other"));
    let fault = Fault::new(Reason::QuotaExceeded, Scope::AccountModel).with_retry_after(SECOND);
    let pool = recovered(pool(&["a"]), &fault, Some(&slow)).await;
    let leases = all(&pool, Some(&slow));
    assert_eq!(leases.len(), 2);
    assert_eq!(all(&pool, Some(&other)).len(), 100);
    drop(leases);
    assert_eq!(all(&pool, Some(&slow)).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_limit_during_slow_start_is_a_cooldown() {
    let pool = one_key().await;
    let [refused, late] = <[Lease; 2]>::try_from(all(&pool, None)).unwrap();
    refused.fail(&limit(SECOND), None);
    advance(SECOND).await;
    let probe = lease(&pool);
    assert!(probe.is_probe() && pool.acquire(None).is_err());
    probe.succeed();
    let leases = all(&pool, None);
    assert_eq!(leases.len(), 2);
    late.succeed();
    assert!(pool.acquire(None).is_err(), "it had a place on the ramp before");
}

#[tokio::test(start_paused = true)]
async fn other_faults_need_no_slow_start() {
    let pool = recovered(pool(&["a"]), &Fault::new(Reason::Forbidden, Scope::Key), None).await;
    assert_eq!(all(&pool, None).len(), 100);
    let pool = one_key().await;
    pool.reset_all();
    assert_eq!(all(&pool, None).len(), 100, "an operator knows better");
}

#[tokio::test(start_paused = true)]
async fn the_length_of_slow_start_can_be_set() {
    for (last, allowed) in [(0, 100), (1, 100), (2, 2)] {
        let pool = builder().key(key("a")).cooldowns(Cooldowns::default().ramp(last)).build().unwrap();
        let pool = recovered(pool, &limit(SECOND), None).await;
        let leases = all(&pool, None);
        assert_eq!(leases.len(), allowed);
        leases.into_iter().for_each(Lease::succeed);
        assert_eq!(all(&pool, None).len(), 100);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_go_to_other_keys_while_one_returns() {
    let pool = pool(&["a", "b"]);
    fail(&pool, "a", &limit(SECOND));
    advance(SECOND).await;
    lease_of(&pool, "a", None).succeed();
    let leases = all(&pool, None);
    assert_eq!(leases.iter().filter(|lease| lease.key_id().as_str() == "a").count(), 2);
    assert_eq!(leases.len(), 100);
}
