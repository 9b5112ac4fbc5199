//! Many threads using one pool.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

#[path = "support/pool.rs"]
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::limits::{Estimate, Quota};
use tower_key_rotation::pool::{AcquireRequest, Cooldowns, KeyPool, KeyState, Lease};
use tower_key_rotation::provider::ModelId;

use self::support::*;

const THREADS: usize = 4;
const ROUNDS: usize = 4_000;
const KEYS: usize = 8;
/// Minimum number of times that a thread has to request a key that another one holds.
const MEETINGS: usize = 100;

fn crowd() -> KeyPool {
    let keys = (0..KEYS).map(|n| match key(&n.to_string()) {
        undeclared if n % 2 == 0 => undeclared,
        key => key.account(format!("org-{}", n / 4)),
    });
    let cooldowns = Cooldowns::default().quota_clamp(Duration::from_millis(2));
    builder().keys(keys).cooldowns(cooldowns).max_models(2).build().unwrap()
}

/// Settles a lease in a random way, with cooldowns that end at once or never.
fn settle(pool: &KeyPool, mut lease: Lease, model: Option<&ModelId>) {
    let organisation = ["one", "two", "three"][fastrand::usize(..3)];
    let remaining = ["0", "1", "9"][fastrand::usize(..3)];
    let headers = [
        ("openai-organization", organisation),
        ("x-ratelimit-limit-requests", "10"),
        ("x-ratelimit-remaining-requests", remaining),
        ("x-ratelimit-reset-requests", "1ms"),
    ];
    let headers =
        headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    lease.observe(StatusCode::OK, &HeaderMap::from_iter(headers), model);
    let scopes = [Scope::Key, Scope::Account, Scope::KeyModel, Scope::AccountModel, Scope::Provider];
    let scope = scopes[fastrand::usize(..scopes.len())];
    let millisecond = Duration::from_millis(1);
    match fastrand::u8(..10) {
        0..=2 => drop(lease),
        3..=5 => lease.succeed(),
        6 | 7 => {
            drop(lease.fail(&Fault::new(Reason::RateLimited, scope).with_retry_after(millisecond), model));
        }
        8 => {
            let penalty =
                lease.fail(&Fault::new(Reason::QuotaExceeded, scope).with_retry_after(millisecond), model);
            penalty.into_iter().for_each(tower_key_rotation::pool::UndoCooldown::undo);
        }
        _ => {
            let name = lease.key_id().clone();
            drop(lease.fail(&Fault::new(Reason::InvalidKey, scope), model));
            match fastrand::u8(..4) {
                0 => pool.disable(&name).unwrap(),
                1 => pool.enable(&name).unwrap(),
                2 => pool.reset(&name).unwrap(),
                _ => pool.reset_all(),
            }
        }
    }
}

fn work(pool: &KeyPool) {
    let models = ["one", "two", "three"].map(model);
    for _ in 0..ROUNDS {
        let model = models.get(fastrand::usize(..4));
        let Ok(lease) = pool.acquire(model) else {
            let exhausted = pool.snapshot();
            assert_eq!(exhausted.keys.len(), KEYS);
            if fastrand::u8(..8) == 0 {
                exhausted.keys.iter().for_each(|key| pool.enable(&key.id).unwrap());
                pool.reset_all();
            }
            continue;
        };
        settle(pool, lease, model);
    }
}

/// Checks that every key is leased, and none as a probe.
fn assert_all_usable(pool: &KeyPool, model: Option<&ModelId>) {
    let leases: Vec<_> = (0..KEYS).map(|_| pool.acquire(model).unwrap()).collect();
    let mut names: Vec<_> = leases.iter().map(|lease| lease.key_id().clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), KEYS, "{names:?}");
    assert!(leases.iter().all(|lease| !lease.is_probe()));
}

#[test]
fn a_reset_restores_the_whole_pool() {
    for _ in 0..3 {
        let pool = crowd();
        thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(|| work(&pool)))));
        let stuck = pool.snapshot().keys.into_iter().any(|key| {
            let models = key.models.iter().any(|model| model.state == KeyState::Probing);
            models || key.state == KeyState::Probing
        });
        assert!(!stuck, "a probe was not handed back: {:#?}", pool.snapshot());
        for key in pool.snapshot().keys {
            pool.enable(&key.id).unwrap();
        }
        pool.reset_all();
        for model in [None, Some(model("one")), Some(model("two")), Some(model("three"))] {
            assert_all_usable(&pool, model.as_ref());
        }
    }
}

#[test]
fn a_scope_has_at_most_one_probe() {
    let pool = builder().keys(["a", "b"].map(|name| key(name).account("org"))).build().unwrap();
    let fault = Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(Duration::from_micros(1));
    let (out, probes, refused) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 0.. {
                    // A cooldown lasts a millisecond at least, and on few cores threads take turns. So they
                    // continue until they have met.
                    let met =
                        [&probes, &refused].iter().all(|count| count.load(Ordering::SeqCst) >= MEETINGS);
                    if (round >= ROUNDS && met) || round == 1_000 * ROUNDS {
                        break;
                    }
                    let Ok(lease) = pool.acquire(None) else {
                        refused.fetch_add(out.load(Ordering::SeqCst), Ordering::SeqCst);
                        continue;
                    };
                    if !lease.is_probe() {
                        drop(lease.fail(&fault, None));
                        continue;
                    }
                    assert_eq!(out.fetch_add(1, Ordering::SeqCst), 0);
                    probes.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                    out.fetch_sub(1, Ordering::SeqCst);
                    match round % 3 {
                        0 => drop(lease),
                        1 => lease.succeed(),
                        _ => drop(lease.fail(&fault, None)),
                    }
                }
            });
        }
    });
    assert_eq!(out.load(Ordering::SeqCst), 0);
    assert!(probes.load(Ordering::SeqCst) >= MEETINGS, "probes were given: {probes:?}");
    assert!(refused.load(Ordering::SeqCst) >= MEETINGS, "and asked for while one was out: {refused:?}");
}

#[test]
fn a_refused_request_steals_no_capacity() {
    let tokens = |count| AcquireRequest::new().tokens(Estimate::new().input_tokens(count));
    let pool = builder().key(key("a").quota(Quota::concurrent(1)));
    let pool = pool.quota(Quota::tokens(100).per_day().for_models("big")).build().unwrap();
    let big = model("big");
    pool.acquire(tokens(50).model(&big)).unwrap().succeed();
    in_turns(|| assert!(pool.acquire(tokens(100).model(&big)).is_err()), || drop(lease(&pool)));
}

#[test]
fn a_refused_request_steals_no_probe() {
    let tokens = |count| AcquireRequest::new().tokens(Estimate::new().input_tokens(count));
    let pool = builder().key(key("a")).quota(Quota::tokens(100).per_day()).build().unwrap();
    pool.acquire(tokens(50)).unwrap().succeed();
    let spent = Fault::new(Reason::QuotaExceeded, Scope::Key).with_retry_after(Duration::from_millis(1));
    lease(&pool).fail(&spent, None);
    while pool.acquire(None).is_err() {
        thread::yield_now();
    }
    in_turns(|| assert!(pool.acquire(tokens(100)).is_err()), || assert!(lease(&pool).is_probe()));
}

/// Runs two threads until both have done their rounds. On one core they take turns.
fn in_turns(one: impl Fn() + Sync, other: impl Fn() + Sync) {
    let done = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let work = |own: usize, step: &(dyn Fn() + Sync)| {
        while done[1 - own].load(Ordering::SeqCst) < ROUNDS || done[own].load(Ordering::SeqCst) < ROUNDS {
            step();
            if done[own].fetch_add(1, Ordering::SeqCst).is_multiple_of(64) {
                thread::yield_now();
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| work(0, &one));
        scope.spawn(|| work(1, &other));
    });
}

#[test]
fn threads_share_the_keys_evenly() {
    let pool = crowd();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..ROUNDS).for_each(|_| lease(&pool).succeed()));
        }
    });
    for key in pool.snapshot().keys {
        assert_eq!(key.calls as usize, THREADS * ROUNDS / KEYS, "{}", key.id);
        assert_eq!(key.successes, key.calls);
    }
}
