//! Declared limits that several instances share by Redis, on real servers.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/redis.rs"]
mod redis_server;
mod support;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt};
use tower_key_rotation::limits::{Estimate, Quota};
use tower_key_rotation::pool::AcquireRequest;
use tower_key_rotation::provider::Window;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::store::{RedisStore, StorePools};
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::Simulator;

use redis_server::{LATER, Server, until};
use support::{at_sim, chat, key, openai, secret, text};

/// One instance of a fleet: a pool, its layer, and its store.
struct Instance {
    pool: KeyPool,
    service: KeyRotation<Simulator>,
    pools: StorePools,
    stop: Option<oneshot::Sender<()>>,
    sharing: JoinHandle<()>,
}

impl Instance {
    async fn new(url: &str, sim: &Simulator, quotas: &[Quota]) -> Self {
        let api_key = ApiKey::new(secret("a")).unwrap().id("a");
        let builder = KeyPool::builder(at_sim(Provider::openai())).key(api_key);
        let pool = quotas
            .iter()
            .cloned()
            .fold(builder, tower_key_rotation::pool::KeyPoolBuilder::quota)
            .build()
            .unwrap();
        let layer = KeyRotationLayer::new(pool.clone()).wait_for_key(true).deadline(Duration::from_secs(4));
        let store = RedisStore::new(url).unwrap().prefix("test").pool(&pool);
        let ((stop, stopped), status, pools) = (oneshot::channel(), store.status(), store.pools());
        let sharing = tokio::spawn(store.run(async { drop(stopped.await) }));
        timeout(LATER, status.connected()).await.expect("connected");
        Self { service: layer.layer(sim.clone()), pool, pools, stop: Some(stop), sharing }
    }

    /// Sends requests at a time, and returns how many were served.
    async fn send(&self, requests: usize, model: &str) -> usize {
        let send = async || {
            let response = self.service.clone().oneshot(chat(model)).await;
            match response {
                Ok(response) => !text(response).await.is_empty(),
                Err(_) => false,
            }
        };
        join_all((0..requests).map(|_| send())).await.into_iter().filter(|served| *served).count()
    }

    /// Takes as much as there is without waiting.
    fn take(&self, most: usize) -> usize {
        take(&self.pool, most)
    }

    fn kill(&self) {
        self.sharing.abort();
    }

    async fn end(mut self) {
        drop(self.stop.take());
        timeout(LATER, &mut self.sharing).await.expect("ended").unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.sharing.abort();
    }
}

fn take(pool: &KeyPool, most: usize) -> usize {
    let taken = (0..most).map_while(|_| pool.acquire(()).ok());
    taken.map(tower_key_rotation::pool::Lease::succeed).count()
}

async fn fleet(url: &str, sim: &Simulator, quotas: &[Quota]) -> [Instance; 3] {
    let instances = join_all((0..3).map(|_| Instance::new(url, sim, quotas))).await;
    instances.try_into().ok().expect("three")
}

/// Sends requests of a model by all instances at a time, and returns how many were served.
async fn send_by_all(fleet: &[Instance], each: usize, model: &str) -> usize {
    join_all(fleet.iter().map(|instance| instance.send(each, model))).await.into_iter().sum()
}

fn per_day(amount: u64) -> Quota {
    Quota::requests(amount).per_day()
}

fn calls(sim: &Simulator) -> u64 {
    sim.tally().with(http::StatusCode::OK)
}

#[tokio::test]
async fn three_instances_spend_exactly_25_a_day() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let fleet = fleet(&server.url(), &sim, &[per_day(25)]).await;
    assert_eq!(send_by_all(&fleet, 20, "m").await, 25);
    assert_eq!(calls(&sim), 25, "no attempt more");
}

#[tokio::test]
async fn one_instance_finds_all_that_idle_ones_hold() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let fleet = fleet(&server.url(), &sim, &[per_day(25)]).await;
    // Each of the others has used the limit before, and holds a part of it.
    assert_eq!(send_by_all(&fleet, 1, "m").await, 3);
    let began = Instant::now();
    assert_eq!(fleet[0].send(30, "m").await, 22);
    println!("22 requests and 8 refusals took {:?}", Instant::now() - began);
    assert_eq!(calls(&sim), 25);
}

#[tokio::test]
async fn requests_that_may_not_wait_find_an_equal_part() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let fleet = fleet(&server.url(), &sim, &[per_day(30)]).await;
    until(LATER, async || fleet.iter().all(|it| it.pool.usable(None) == 1)).await;
    sleep(Duration::from_millis(200)).await;
    let taken: Vec<_> = fleet.iter().map(|instance| instance.take(30)).collect();
    assert!(taken.iter().all(|taken| *taken >= 8) && taken.iter().sum::<usize>() <= 30, "{taken:?}");
    assert_eq!(taken.iter().sum::<usize>() + send_by_all(&fleet, 10, "m").await, 30);
}

#[tokio::test]
async fn a_model_that_is_new_to_all_has_one_limit() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let quotas = [per_day(25).for_models("m-*"), Quota::requests(1_000).per_minute()];
    let fleet = fleet(&server.url(), &sim, &quotas).await;
    for model in ["m-one", "m-two"] {
        assert_eq!(send_by_all(&fleet, 20, model).await, 25, "{model}");
    }
    assert_eq!(calls(&sim), 50);
}

#[tokio::test]
async fn a_window_begins_with_the_whole_limit_again() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let window = Duration::from_secs(2);
    let quota = Quota::requests(9).per(Window::from_secs(2)).aligned();
    let fleet = fleet(&server.url(), &sim, &[quota]).await;
    let until_next = || {
        let now = tower_key_rotation::clock::Timestamp::now().as_unix_ms();
        Duration::from_millis(2_000 - now % 2_000)
    };
    sleep(until_next()).await;
    for _ in 0..2 {
        let (before, left) = (calls(&sim), until_next());
        // The rest waits for the next window, and is given up.
        let load = timeout(left - Duration::from_millis(100), send_by_all(&fleet, 8, "m")).await;
        assert!(load.is_err() && left > window / 2);
        assert_eq!(calls(&sim) - before, 9);
        sleep(until_next()).await;
    }
}

#[tokio::test]
async fn tokens_are_settled_after_the_response() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let fleet = fleet(&server.url(), &sim, &[Quota::tokens(100_000).per_day()]).await;
    assert_eq!(send_by_all(&fleet, 10, "m").await, 30);
    let left = |it: &Instance| it.pool.snapshot().keys[0].limits[0].remaining;
    until(LATER, async || fleet.iter().all(|it| left(it) == left(&fleet[0]) && left(it) < 100_000)).await;
    sleep(Duration::from_millis(300)).await;
    let used = 100_000 - left(&fleet[0]);
    let names: Vec<String> =
        redis::from_redis_value(server.command(&["KEYS", "{test:openai}:limit:*"]).await).unwrap();
    let stored: String =
        redis::from_redis_value(server.command(&["HGET", &names[0], "@used"]).await).unwrap();
    assert_eq!((names.len(), stored), (1, used.to_string()));
}

#[tokio::test]
async fn what_a_killed_instance_held_is_found() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let [one, two, three] = fleet(&server.url(), &sim, &[per_day(25)]).await;
    assert_eq!(three.send(2, "m").await, 2);
    sleep(Duration::from_millis(1_500)).await;
    three.kill();
    let fleet = [one, two];
    let first = send_by_all(&fleet, 15, "m").await;
    // Its part is free when it expires.
    sleep(Duration::from_secs(3)).await;
    let second = send_by_all(&fleet, 15, "m").await;
    println!("{first} before and {second} after its end");
    assert_eq!((first + second, calls(&sim)), (23, 25));
}

#[tokio::test]
async fn an_instance_that_ends_returns_its_part() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let [one, two, three] = fleet(&server.url(), &sim, &[per_day(25)]).await;
    assert_eq!(three.send(2, "m").await, 2);
    three.end().await;
    assert_eq!(send_by_all(&[one, two], 15, "m").await, 23);
}

#[tokio::test]
async fn requests_go_on_while_redis_is_away_and_the_limit_holds() {
    let Some(server) = Server::start(&[]).await else { return };
    let (url, port) = (server.url(), server.port);
    let sim = openai([key("a")]);
    let fleet = fleet(&url, &sim, &[per_day(60)]).await;
    assert_eq!(send_by_all(&fleet, 5, "m").await, 15);
    sleep(Duration::from_millis(1_200)).await;
    server.signal("-STOP");
    assert_eq!(send_by_all(&fleet, 5, "m").await, 15, "each has its part");
    drop(server);
    assert_eq!(send_by_all(&fleet, 5, "m").await, 15, "and an equal part of the rest");
    let _server = Server::start_at(port, &[]).await.unwrap();
    let rest = async || send_by_all(&fleet, 10, "m").await;
    let mut served = 45;
    until(LATER, async || {
        served += rest().await;
        served >= 60
    })
    .await;
    assert_eq!((served, calls(&sim)), (60, 60));
}

#[tokio::test]
async fn requests_cost_few_round_trips() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let quotas = [Quota::requests(100_000).per_day(), Quota::tokens(1_000_000_000).per_minute()];
    let fleet = fleet(&server.url(), &sim, &quotas).await;
    let (began, mut served) = (Instant::now(), 0);
    while Instant::now() - began < Duration::from_secs(1) {
        served += send_by_all(&fleet, 20, "m").await;
    }
    let stats = format!("{:?}", server.command(&["INFO", "commandstats"]).await);
    let calls = stats.split("cmdstat_evalsha:calls=").nth(1).and_then(|rest| rest.split(',').next());
    let calls: usize = calls.and_then(|calls| calls.parse().ok()).unwrap();
    println!("{served} requests, {calls} scripts, of both kinds");
    assert!(calls < served / 5, "{calls} scripts for {served} requests");
}

#[tokio::test]
async fn a_request_that_needs_almost_all_is_let_in() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let fleet = fleet(&server.url(), &sim, &[Quota::tokens(1_000).per_day()]).await;
    // Each holds a third.
    sleep(Duration::from_millis(200)).await;
    let large = AcquireRequest::new().tokens(Estimate::new().input_tokens(990));
    let lease = fleet[0].pool.acquire_by(large, Instant::now() + Duration::from_secs(3)).await;
    lease.expect("the others need nothing").succeed();
}

#[tokio::test]
async fn what_an_instance_without_the_key_held_is_found() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let early = Instance::new(&server.url(), &sim, &[per_day(25)]).await;
    assert_eq!(early.send(1, "m").await, 1);
    early.end().await;
    let names: Vec<String> =
        redis::from_redis_value(server.command(&["KEYS", "{test:openai}:limit:*"]).await).unwrap();
    // Another instance is alive, holds 10, and has said nothing of this limit for this time.
    let silent_for = async |seconds: u64| {
        let now = tower_key_rotation::clock::Timestamp::now().as_unix_ms();
        let (lives, at) = (format!("{} {now}", now + 40_000), now - seconds * 1_000);
        server.command(&["HSET", "{test:openai}:instances", "abc", &lives]).await;
        server.command(&["HSET", &names[0], "abc.1", &format!("10 0 0 {at}")]).await;
    };
    silent_for(140).await;
    let one = Instance::new(&server.url(), &sim, &[per_day(25)]).await;
    assert_eq!(one.send(20, "m").await, 14);
    silent_for(160).await;
    assert_eq!(one.send(20, "m").await, 10);
    assert_eq!(calls(&sim), 25);
}

#[tokio::test]
async fn a_used_up_limit_states_the_end_of_its_window() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let fleet = fleet(&server.url(), &sim, &[per_day(25)]).await;
    assert_eq!(fleet[0].send(25, "m").await, 25);
    // An instance that has not heard yet asks for more, and is told.
    until(LATER, async || {
        let now = tower_key_rotation::clock::Timestamp::now().as_unix_ms();
        let midnight = Duration::from_millis(86_400_000 - now % 86_400_000);
        let waits = fleet.iter().map(|it| it.pool.acquire(()).expect_err("used up").retry_after().unwrap());
        waits.into_iter().all(|wait| wait.abs_diff(midnight) < Duration::from_secs(2))
    })
    .await;
    let began = Instant::now();
    assert_eq!(fleet[1].send(1, "m").await, 0);
    assert!(Instant::now() - began < Duration::from_secs(1), "it does not wait in vain");
}

#[tokio::test]
async fn other_pools_change_no_part_while_redis_is_away() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a")]);
    let fleet = fleet(&server.url(), &sim, &[per_day(60)]).await;
    assert_eq!(send_by_all(&fleet, 2, "m").await, 6);
    sleep(Duration::from_millis(1_200)).await;
    drop(server);
    let more = |name: &str| {
        let api_key = ApiKey::new(secret("other")).unwrap().id(name);
        KeyPool::builder(Provider::anthropic()).key(api_key).build().unwrap()
    };
    // A pool is added, another is removed; and a pool takes the place of one.
    for instance in &fleet {
        instance.pools.add(&more("one"));
        sleep(Duration::from_millis(50)).await;
        instance.pools.set([instance.pool.clone()]);
    }
    let again = KeyPool::builder(at_sim(Provider::openai()))
        .key(ApiKey::new(secret("a")).unwrap().id("a"))
        .quota(per_day(60))
        .restore(fleet[2].pool.export())
        .build()
        .unwrap();
    fleet[2].pools.set([again.clone()]);
    sleep(Duration::from_millis(200)).await;
    let taken = [&fleet[0].pool, &fleet[1].pool, &again].map(|pool| take(pool, 60));
    assert!(taken.iter().all(|taken| (10..=20).contains(taken)), "{taken:?}");
}
