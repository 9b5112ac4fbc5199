//! Keys that change while requests run: no request fails, no removed key is used, no count is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, interval, sleep};
use tower::Layer;
use tower_key_rotation::fallback::ProviderFallbackLayer;
use tower_key_rotation::key::{KeyId, Secret};
use tower_key_rotation::pool::{Draining, KeySnapshot};
use tower_key_rotation::{ApiKey, Deadline, KeyPool, KeyRotationLayer};
use tower_key_rotation_sim::{Latency, SimFault, Simulator};

use support::{chat, key, pool, rotating, secret, send, served};

const STABLE: [&str; 3] = ["s0", "s1", "s2"];
const REQUESTS_A_SECOND: u32 = 200;
const CHANGES_A_SECOND: u32 = 20;

/// The ten seconds of a long run, cut so that the whole suite stays short.
const RUN: Duration = Duration::from_secs(3);

/// Changes the keys of a pool, and those of the provider with them.
struct Operator {
    pool: KeyPool,
    sim: Simulator,
    rng: Rng,
    /// The label of the secret that each changing key has now.
    present: Vec<Option<String>>,
    versions: u32,
    draining: JoinSet<()>,
}

impl Operator {
    fn new(pool: &KeyPool, sim: &Simulator, seed: u64) -> Self {
        let (pool, sim) = (pool.clone(), sim.clone());
        let (rng, draining) = (Rng::with_seed(seed), JoinSet::new());
        Self { pool, sim, rng, present: vec![None; 6], versions: 0, draining }
    }

    /// Adds, replaces or removes one key. A secret that left is unknown to the provider once it is drained.
    fn change(&mut self) {
        let number = self.rng.usize(..self.present.len());
        let id = format!("c{number}");
        let (label, draining) = match (self.present[number].take(), self.rng.bool()) {
            (None, _) => {
                let label = self.introduce(&id);
                self.pool.add(ApiKey::new(secret(&label)).unwrap().id(id)).unwrap();
                self.present[number] = Some(label);
                return;
            }
            (Some(old), true) => {
                let label = self.introduce(&id);
                let secret = Secret::new(secret(&label)).unwrap();
                self.present[number] = Some(label);
                (old, self.pool.replace(&KeyId::from(id), secret).unwrap())
            }
            (Some(old), false) => (old, self.pool.remove(&KeyId::from(id)).unwrap()),
        };
        self.revoke_after(label, draining);
    }

    fn introduce(&mut self, id: &str) -> String {
        self.versions += 1;
        let label = format!("{id}-v{}", self.versions);
        self.sim.add_key(key(&label));
        label
    }

    fn revoke_after(&mut self, label: String, draining: Draining) {
        let sim = self.sim.clone();
        self.draining.spawn(async move {
            draining.drained().await;
            assert_eq!(sim.key(&label).in_flight(), 0);
            sim.remove_key(&label);
        });
    }
}

/// Sends requests at an even pace, and returns the number of those that were served.
async fn load(pool: &KeyPool, sim: &Simulator) -> u64 {
    let (service, began) = (rotating(pool, sim), Instant::now());
    let (mut running, mut ticks) = (JoinSet::new(), interval(Duration::from_secs(1) / REQUESTS_A_SECOND));
    while Instant::now() < began + RUN {
        ticks.tick().await;
        let service = service.clone();
        running.spawn(async move {
            let response = send(&service, chat("m")).await.expect("a key is always usable");
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(served(&response).attempts().len(), 0, "no attempt fails");
            response.into_body().collect().await.unwrap();
        });
    }
    running.join_all().await.len() as u64
}

async fn change_under_load(seed: u64) {
    let latency = Latency::Uniform(Duration::from_millis(2)..Duration::from_millis(80));
    let sim = Simulator::openai().keys(STABLE.map(key)).latency(latency).seed(seed).build();
    let pool = pool(&STABLE);
    let mut operator = Operator::new(&pool, &sim, seed);
    let changing = async {
        let mut ticks = interval(Duration::from_secs(1) / CHANGES_A_SECOND);
        loop {
            ticks.tick().await;
            operator.change();
        }
    };
    let sent = tokio::select! {
        sent = load(&pool, &sim) => sent,
        () = changing => unreachable!("changes go on"),
    };
    operator.draining.join_all().await;
    assert_eq!(sim.unknown_calls().with(StatusCode::UNAUTHORIZED), 0, "no secret is used after its drain");
    assert_eq!((sim.calls(), sim.in_flight()), (sent, 0));
    for key in pool.snapshot().keys {
        let label = match STABLE.iter().find(|stable| **stable == key.id.as_str()) {
            Some(stable) => (*stable).to_owned(),
            None => operator.present[usize::from(key.id.as_str().as_bytes()[1] - b'0')].clone().unwrap(),
        };
        assert_counts(&key, sim.key(&label).calls());
    }
}

fn assert_counts(key: &KeySnapshot, calls: u64) {
    let counted = [key.calls, key.successes, key.usage.total.requests];
    assert_eq!((counted, key.in_flight), ([calls; 3], 0), "{}", key.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_run_while_keys_change() {
    change_under_load(1).await;
}

#[tokio::test(start_paused = true)]
async fn requests_run_while_keys_change_on_a_paused_clock() {
    for seed in 0..6 {
        change_under_load(seed).await;
    }
}

#[test]
fn threads_find_a_key_while_the_only_one_is_replaced() {
    let pool = pool(&["a"]);
    let (done, found) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    pool.acquire(()).expect("there is always a key").succeed();
                    found.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut old = Vec::new();
        for version in 0..500 {
            let new = Secret::new(secret(&version.to_string())).unwrap();
            old.push(pool.replace(&KeyId::from("a"), new).unwrap());
            old.retain(|draining| draining.in_flight() > 0);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(found.into_inner() > 0);
    let key = &pool.snapshot().keys[0];
    assert_eq!((key.in_flight, key.calls), (0, key.successes));
    assert!(key.account_number < 100, "numbers are used again: {}", key.account_number);
}

#[test]
fn threads_use_no_key_after_its_drain() {
    let pool = pool(&["a", "b"]);
    let done = AtomicBool::new(false);
    let drained: Arc<[AtomicBool]> = (0..500).map(|_| AtomicBool::new(false)).collect();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let lease = pool.acquire(()).expect("there is always a key");
                    if let Ok(number) = lease.key_id().as_str().parse::<usize>() {
                        assert!(!drained[number].load(Ordering::SeqCst), "used after its drain");
                    }
                }
            });
        }
        for number in 0..drained.len() {
            let id = number.to_string();
            pool.add(ApiKey::new(secret(&id)).unwrap().id(&*id)).unwrap();
            thread::yield_now();
            let draining = pool.remove(&KeyId::from(&*id)).unwrap();
            while draining.in_flight() > 0 {
                std::hint::spin_loop();
            }
            drained[number].store(true, Ordering::SeqCst);
        }
        done.store(true, Ordering::Relaxed);
    });
}

// === what was built before ===

#[tokio::test(start_paused = true)]
async fn a_chain_that_was_built_before_sees_the_new_key() {
    let sim = Simulator::openai().keys(["a", "b"].map(key)).build();
    let pool = pool(&["a"]);
    let rotation = KeyRotationLayer::new(pool.clone());
    let chain = ProviderFallbackLayer::new("openai").layer(rotation.layer(sim.clone()));
    sim.key("a").revoke();
    assert!(send(&chain, chat("m")).await.is_err() || sim.key("a").calls() == 1);
    pool.add(ApiKey::new(secret("b")).unwrap().id("b")).unwrap();
    let response = send(&chain, chat("m")).await.unwrap();
    assert_eq!(served(&response).key_id().as_str(), "b");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_in_a_layer_takes_the_new_key() {
    let limited = SimFault::rate_limited(Duration::from_secs(20));
    let sim = Simulator::openai().keys([key("a"), key("b")]).build();
    sim.key("a").fail(1, limited);
    let pool = pool(&["a"]);
    let service = KeyRotationLayer::new(pool.clone()).wait_for_key(true).layer(sim.clone());
    let began = Instant::now();
    let mut request = chat("m");
    request.extensions_mut().insert(Deadline::at(began + Duration::from_secs(60)));
    let waiting = tokio::spawn(async move { send(&service, request).await });
    sleep(Duration::from_secs(5)).await;
    assert!(!waiting.is_finished(), "{:?}", waiting.await.unwrap().map(|response| response.status()));
    pool.add(ApiKey::new(secret("b")).unwrap().id("b")).unwrap();
    let response = waiting.await.unwrap().unwrap();
    assert_eq!(served(&response).key_id().as_str(), "b");
    assert!(Instant::now() < began + Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_streams_keeps_its_key_in_flight() {
    let sim = Simulator::openai().keys([key("a"), key("b")]).build();
    let pool = pool(&["a", "b"]);
    let service = rotating(&pool, &sim);
    let response = send(&service, support::chat_stream("m")).await.unwrap();
    let id = served(&response).key_id().clone();
    let draining = pool.remove(&id).unwrap();
    advance(Duration::from_secs(1)).await;
    assert_eq!(draining.in_flight(), 1);
    response.into_body().collect().await.unwrap();
    draining.drained().await;
}
