//! Cost of a lease: acquiring it and dropping it, including the clock read.
//!
//! Measured by selection policy, by number of keys, by share of keys in a cooldown, and by number of threads.
//! With two threads, the time is that of one thread's lease while the other thread does the same.
#![expect(clippy::unwrap_used, reason = "a benchmark may stop")]

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::key::ApiKey;
use tower_key_rotation::pool::{AcquireRequest, KeyPool, Selection, Session};
use tower_key_rotation::provider::{ModelId, Provider};

const KEYS: [usize; 4] = [1, 64, 1_024, 10_000];
/// Number of keys in a cooldown, per thousand.
const COOLING: [usize; 3] = [0, 500, 999];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns a pool of which a share of the keys is in a cooldown for a day. The usable keys are spread evenly.
fn pool(keys: usize, cooling: usize) -> KeyPool {
    pool_with(Selection::RoundRobin, keys, cooling)
}

fn pool_with(selection: Selection, keys: usize, cooling: usize) -> KeyPool {
    let key = |n| ApiKey::new(format!("sk-{n}")).unwrap().id(format!("key-{n}"));
    let keys_of = KeyPool::builder(Provider::openai()).keys((0..keys).map(key));
    let pool = keys_of.selection(selection).build().unwrap();
    let fault = Fault::new(Reason::QuotaExceeded, Scope::Key).with_retry_after(DAY);
    let usable =
        |n: usize| n == 0 || (n * (1_000 - cooling)) / 1_000 != ((n + 1) * (1_000 - cooling)) / 1_000;
    // Keys that stay usable are disabled until all others have failed, so that this works with every policy.
    if cooling == 0 {
        return pool;
    }
    let ids: Vec<_> = pool.snapshot().keys.into_iter().map(|key| key.id).collect();
    let kept = || ids.iter().enumerate().filter(|(n, _)| usable(*n)).map(|(_, id)| id);
    kept().for_each(|id| pool.disable(id).unwrap());
    while let Ok(lease) = pool.acquire(None) {
        lease.fail(&fault, None);
    }
    kept().for_each(|id| pool.enable(id).unwrap());
    pool
}

fn run(pool: &KeyPool, model: Option<&ModelId>, times: u64) {
    for _ in 0..times {
        drop(black_box(pool.acquire(model)));
    }
}

/// Returns the time in which each of the threads has acquired `times` leases.
fn together(pool: &KeyPool, threads: usize, times: u64) -> Duration {
    let barrier = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    run(pool, None, times);
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        Instant::now().saturating_duration_since(start)
    })
}

fn acquire(criterion: &mut Criterion) {
    for threads in [1, 2] {
        let mut group = criterion.benchmark_group(format!("acquire/{threads} threads"));
        for keys in KEYS {
            for cooling in COOLING {
                let name = format!("{}% cooling", cooling as f64 / 10.0);
                let pool = pool(keys, cooling);
                group.bench_function(BenchmarkId::new(name, keys), |bencher| {
                    bencher.iter_custom(|times| match threads {
                        1 => {
                            let start = Instant::now();
                            run(&pool, None, times);
                            Instant::now().saturating_duration_since(start)
                        }
                        _ => together(&pool, threads, times),
                    });
                });
            }
        }
        group.finish();
    }
}

/// Acquires for a model while one key is in a cooldown for two models. A pool of one key is asked for a third
/// model.
fn acquire_for_a_model(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("acquire/for a model");
    let (model, other) = (ModelId::from("gpt-chat"), ModelId::from("gpt-other"));
    for keys in KEYS {
        let pool = pool(keys, 0);
        let fault = Fault::new(Reason::QuotaExceeded, Scope::KeyModel).with_retry_after(DAY);
        for model in [&model, &other] {
            let lease = pool.acquire(Some(model)).unwrap();
            lease.fail(&fault, Some(model));
        }
        let model = ModelId::from(if keys == 1 { "gpt-third" } else { model.as_str() });
        group.bench_function(BenchmarkId::from_parameter(keys), |bencher| {
            bencher.iter_custom(|times| {
                let start = Instant::now();
                run(&pool, Some(&model), times);
                Instant::now().saturating_duration_since(start)
            });
        });
    }
    group.finish();
}

/// Acquires with each policy, and with sessions under the default policy.
fn acquire_by_policy(criterion: &mut Criterion) {
    let policies =
        [Selection::InOrder, Selection::Random, Selection::LeastInFlight, Selection::MostRemaining];
    for cooling in [0, 999] {
        let mut group = criterion.benchmark_group(format!("acquire/{}% cooling", cooling as f64 / 10.0));
        for keys in [64, 1_024, 10_000] {
            for selection in policies {
                let pool = pool_with(selection, keys, cooling);
                group.bench_function(BenchmarkId::new(format!("{selection:?}"), keys), |bencher| {
                    bencher.iter(|| drop(black_box(pool.acquire(None))));
                });
            }
            let (pool, mut turn) = (pool(keys, cooling), 0);
            let sessions: Vec<_> = (0..4_096_u32).map(|n| Session::new(n.to_be_bytes())).collect();
            group.bench_function(BenchmarkId::new("Session", keys), |bencher| {
                bencher.iter(|| {
                    turn = (turn + 1) % sessions.len();
                    drop(black_box(pool.acquire(AcquireRequest::new().session(sessions[turn]))));
                });
            });
        }
        group.finish();
    }
    criterion.bench_function("session/from a name", |bencher| {
        bencher.iter(|| Session::new(black_box("conversation-0123456789")));
    });
}

/// Measures finding out that no key is usable, and when one will be.
fn exhausted(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exhausted");
    for keys in KEYS {
        let pool = pool(keys, 1_000);
        let last = pool.acquire(None).unwrap();
        last.fail(&Fault::new(Reason::QuotaExceeded, Scope::Key).with_retry_after(DAY), None);
        group.bench_function(BenchmarkId::from_parameter(keys), |bencher| {
            bencher.iter(|| black_box(pool.acquire(None).is_err()));
        });
    }
    group.finish();
}

/// Measures reading the head of a response that names the account, as every response of the provider does.
fn observe(criterion: &mut Criterion) {
    let pool = pool(64, 0);
    let headers = [
        ("content-type", "application/json"),
        ("openai-organization", "user-a1b2c3d4e5f6g7h8i9j0k1l2"),
        ("openai-project", "proj_AbCdEfGhIjKlMnOpQrStUvWx"),
        ("x-request-id", "req_0123456789abcdef0123456789abcdef"),
    ];
    let headers: HeaderMap =
        headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).into_iter().collect();
    let mut lease = pool.acquire(None).unwrap();
    let mut group = criterion.benchmark_group("observe");
    group.bench_function("an account that is known", |bencher| {
        bencher.iter(|| lease.observe(StatusCode::OK, black_box(&headers), None));
    });
    group.bench_function("no account", |bencher| {
        let headers = HeaderMap::new();
        bencher.iter(|| lease.observe(StatusCode::OK, black_box(&headers), None));
    });
    group.finish();
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .without_plots()
}

criterion_group! { name = benches; config = short(); targets = acquire, acquire_for_a_model, acquire_by_policy, exhausted, observe }
criterion_main!(benches);
