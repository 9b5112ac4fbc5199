//! Redis that is slow, stopped, emptied, read-only, locked, or full of what others wrote, on real servers.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_key_rotation::Provider;
use tower_key_rotation::pool::KeyState;
use tower_key_rotation::store::RedisStore;
use tower_key_rotation_sim::{Script, SimFault, Simulator};

use crate::redis::{LATER, Server, until};
use crate::stage::{Instance, Load, SOON, fleet, sim, slow};
use crate::support::MARKER;

const HASH: &str = "{test:openai}:state";

/// Returns the number of refusals with this status.
fn refusals(sim: &Simulator, status: u16) -> u64 {
    sim.tally().with(http::StatusCode::from_u16(status).unwrap())
}

/// Lets the provider refuse a key under load. Fails if it is used later than 250 ms after the first refusal.
async fn is_avoided_soon(sim: &Simulator, status: u16) {
    until(LATER, async || refusals(sim, status) > 0).await;
    let first = Instant::now();
    let mut seen = (refusals(sim, status), first);
    while Instant::now() < first + SOON * 3 {
        sleep(Duration::from_millis(1)).await;
        if refusals(sim, status) > seen.0 {
            seen = (refusals(sim, status), Instant::now());
        }
    }
    let after = seen.1 - first;
    assert!(after < SOON, "{} refusals with {status}, the last one {after:?} after the first", seen.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_met_once_under_load() {
    let Some(server) = Server::start(&[]).await else { return };
    let (sim, fleet) = (sim(), fleet(&server.url()).await);
    let load = Load::start(&fleet, &sim);
    sim.key("a").script(Script::always(SimFault::rate_limited(Duration::from_secs(600))));
    is_avoided_soon(&sim, 429).await;
    sim.key("b").revoke();
    is_avoided_soon(&sim, 401).await;
    load.stop().await;
    assert!(fleet.iter().all(|instance| instance.state(1) == KeyState::Invalid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_of_100_ms_is_fast_enough() {
    let Some(server) = Server::start(&[]).await else { return };
    let port = slow(server.port, Duration::from_millis(50)).await;
    let (sim, fleet) = (sim(), fleet(&format!("redis://127.0.0.1:{port}")).await);
    let load = Load::start(&fleet, &sim);
    sim.key("a").script(Script::always(SimFault::rate_limited(Duration::from_secs(600))));
    is_avoided_soon(&sim, 429).await;
    load.stop().await;
    assert!(fleet.iter().all(|instance| !instance.has_news()));
}

#[tokio::test]
async fn a_server_that_is_stopped_for_a_time_is_told_once() {
    let Some(server) = Server::start(&[]).await else { return };
    let (sim, mut fleet) = (sim(), fleet(&server.url()).await);
    let load = Load::start(&fleet, &sim);
    server.signal("-STOP");
    fleet[0].pool.disable(&"a".into()).unwrap();
    fleet[1].pool.cool_down(&"b".into(), None, Duration::from_secs(600)).unwrap();
    for instance in &mut fleet {
        assert!(instance.news().await.is_some());
    }
    sleep(Duration::from_millis(300)).await;
    server.signal("-CONT");
    for instance in &mut fleet {
        assert_eq!(instance.news().await, None);
    }
    until(LATER, async || fleet.iter().all(|it| it.pool.usable(None) == 1)).await;
    load.stop().await;
    assert!(
        fleet.iter().all(|it| !it.has_news()) && fleet.iter().all(|it| it.pool.snapshot().keys[1].forced)
    );
}

#[tokio::test]
async fn what_is_flushed_is_written_again() {
    let Some(server) = Server::start(&[]).await else { return };
    let fleet = fleet(&server.url()).await;
    fleet[0].pool.disable(&"a".into()).unwrap();
    until(SOON, async || fleet.iter().all(|it| it.pool.usable(None) == 2)).await;
    server.command(&["FLUSHALL"]).await;
    let late = Instance::at(&server.url());
    late.connected().await;
    until(LATER, async || late.pool.usable(None) == 2).await;
}

#[tokio::test]
async fn a_replica_is_read_until_it_becomes_the_master() {
    let Some(master) = Server::start(&[]).await else { return };
    let options = ["--replicaof", "127.0.0.1", &master.port.to_string(), "--replica-read-only", "yes"];
    let replica = Server::start(&options).await.unwrap();
    let one = Instance::at(&master.url());
    one.connected().await;
    let (sim, mut reader) = (sim(), Instance::at(&replica.url()));
    let error = reader.news().await.unwrap();
    assert!(error.contains("replica"), "{error}");
    one.pool.disable(&"a".into()).unwrap();
    until(LATER, async || reader.pool.usable(None) == 2).await;
    // With the URL of both, the master is found.
    let both = RedisStore::new(&replica.url()).unwrap().or_at(&master.url()).unwrap();
    let both = Instance::of(both);
    both.connected().await;
    both.pool.disable(&"b".into()).unwrap();
    until(SOON, async || one.pool.usable(None) == 1).await;
    let load = Load::start(std::slice::from_ref(&reader), &sim);
    drop((one, both, master));
    sleep(Duration::from_millis(300)).await;
    replica.command(&["REPLICAOF", "NO", "ONE"]).await;
    assert_eq!(reader.news().await, None);
    assert!(!reader.has_news());
    let late = Instance::at(&replica.url());
    late.connected().await;
    assert_eq!(late.pool.usable(None), 1);
    load.stop().await;
}

#[tokio::test]
async fn a_user_with_few_rights_is_enough() {
    let Some(server) = Server::start(&[]).await else { return };
    let commands = "+evalsha +script|load +time +hget +hset +hgetall +hdel +pexpire +publish +subscribe";
    let password = format!(">{MARKER}");
    let rights = |user: &str, keys: &str, channels: &str| {
        let words = format!(
            "ACL SETUSER {user} on {password} resetkeys {keys} resetchannels {channels} -@all {commands}"
        );
        words.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    for words in [rights("app", "~{test:*", "&{test:*"), rights("other", "~{else:*", "&{else:*")] {
        server.command(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let url = |user: &str| format!("redis://{user}:{MARKER}@127.0.0.1:{}", server.port);
    let fleet = fleet(&url("app")).await;
    fleet[0].pool.drain(&"a".into()).unwrap().drained().await;
    until(SOON, async || fleet.iter().all(|it| it.pool.usable(None) == 2)).await;
    assert!(fleet.iter().all(|instance| !instance.has_news()));
    // Another prefix is out of reach, and every key is used.
    let mut locked = Instance::at(&url("other"));
    let error = locked.news().await.unwrap();
    assert!(error.contains("NoPerm") && !error.contains(MARKER), "{error}");
    let load = Load::start(std::slice::from_ref(&locked), &sim());
    sleep(Duration::from_millis(700)).await;
    load.stop().await;
    assert!(!locked.has_news());
}

#[tokio::test]
async fn what_others_write_does_no_harm() {
    let Some(server) = Server::start(&[]).await else { return };
    let mut fleet = fleet(&server.url()).await;
    for words in [
        &["SET", HASH, "x"][..],
        &["LPUSH", HASH, "x"],
        &["SADD", HASH, "x"],
        &["ZADD", HASH, "1", "x"],
        &["XADD", HASH, "*", "x", "y"],
    ] {
        server.command(&["DEL", HASH]).await;
        server.command(words).await;
        fleet[0].pool.disable(&"a".into()).unwrap();
        let error = fleet[0].news().await.unwrap();
        assert!(error.contains(HASH) && error.contains("prefix"), "{error}");
        server.command(&["DEL", HASH]).await;
        assert_eq!(fleet[0].news().await, None);
        until(LATER, async || fleet[1].pool.usable(None) == 2).await;
        fleet[0].pool.enable(&"a".into()).unwrap();
        until(LATER, async || fleet[1].pool.usable(None) == 3).await;
    }
    // Fields that are no text, and our own ones with values from a time that never comes.
    let client = redis_client::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut binary = redis_client::cmd("HSET");
    binary.arg(HASH).arg(&b"\xff\xfe"[..]).arg(&b"\x00\xff"[..]);
    let _: () = binary.query_async(&mut connection).await.unwrap();
    let fields: Vec<String> = {
        fleet[0].pool.disable(&"a".into()).unwrap();
        until(LATER, async || fleet[1].pool.usable(None) == 2).await;
        let all: Vec<Vec<u8>> =
            redis_client::from_redis_value(server.command(&["HKEYS", HASH]).await).unwrap();
        all.into_iter().filter_map(|field| String::from_utf8(field).ok()).collect()
    };
    for field in fields {
        server.command(&["HSET", HASH, &field, &"f".repeat(80)]).await;
    }
    server.command(&["PUBLISH", "{test:openai}:news", "\u{1}[[[["]).await;
    let late = Instance::at(&server.url());
    late.connected().await;
    assert_eq!(late.pool.usable(None), 3, "they are nothing");
    fleet[2].pool.enable(&"a".into()).unwrap();
    fleet[2].pool.disable(&"b".into()).unwrap();
    until(LATER, async || fleet.iter().chain([&late]).all(|it| it.pool.usable(None) == 2)).await;
    assert!(late.state(1) == KeyState::Disabled && late.state(0) == KeyState::Available);
}

#[tokio::test]
async fn a_wrong_password_costs_no_request() {
    let Some(server) = Server::start(&["--requirepass", "right"]).await else { return };
    let mut wrong = Instance::at(&format!("redis://:{MARKER}@127.0.0.1:{}", server.port));
    let error = wrong.news().await.unwrap();
    assert!(!error.contains(MARKER), "{error}");
    let load = Load::start(std::slice::from_ref(&wrong), &sim());
    sleep(Duration::from_millis(700)).await;
    load.stop().await;
    assert!(!wrong.has_news(), "it is told once");
    let right = Instance::at(&format!("redis://:right@127.0.0.1:{}", server.port));
    right.connected().await;
    assert_eq!(right.pool.provider().name(), Provider::openai().name());
}
