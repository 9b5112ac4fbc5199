//! State that several processes share by Redis, on real servers.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/redis.rs"]
mod redis_server;
mod support;

use std::net::TcpListener;
use std::time::Duration;

use http::StatusCode;
use tokio::time::{sleep, timeout};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::event::{EventKind, Events, Subscription};
use tower_key_rotation::limits::Quota;
use tower_key_rotation::pool::{KeyPoolBuilder, KeyState};
use tower_key_rotation::store::{RedisStatus, RedisStore};
use tower_key_rotation::{ApiKey, KeyPool, ModelId, Provider};
use tower_key_rotation_sim::{Script, SimFault, Simulator};

use redis_server::{LATER, Server, until};
use support::{MARKER, at_sim, chat, key, openai, rotating, secret, send};

/// Time within which other instances know of news.
const SOON: Duration = Duration::from_millis(250);

const HOUR: Duration = Duration::from_secs(60 * 60);

fn builder(labels: &[&str], events: &Events) -> KeyPoolBuilder {
    let keys = labels.iter().map(|label| ApiKey::new(secret(label)).unwrap().id(*label));
    KeyPool::builder(at_sim(Provider::openai())).keys(keys).events(events)
}

/// One instance of a fleet.
struct Instance {
    pool: KeyPool,
    status: RedisStatus,
    heard: Subscription,
    sharing: tokio::task::JoinHandle<()>,
}

impl Instance {
    fn of(url: &str, build: impl FnOnce(&Events) -> KeyPool) -> Self {
        let events = Events::new();
        let (heard, pool) = (events.subscribe(), build(&events));
        let store = RedisStore::new(url).unwrap().prefix("test").pool(&pool);
        let status = store.status();
        Self { pool, status, heard, sharing: tokio::spawn(store.run_forever()) }
    }

    fn with(url: &str, labels: &[&str]) -> Self {
        Self::of(url, |events| builder(labels, events).build().unwrap())
    }

    async fn connected(&self) {
        timeout(LATER, self.status.connected()).await.expect("connected");
    }

    /// Returns the next event of the store: its error, or `None` for the recovery.
    async fn news(&mut self) -> Option<String> {
        loop {
            let event = timeout(LATER, self.heard.next()).await.expect("news").unwrap().unwrap();
            match event.kind {
                EventKind::StoreFailed { store: "redis", reason, .. } => return Some(reason.to_string()),
                EventKind::StoreRecovered { store: "redis", .. } => return None,
                _ => {}
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.sharing.abort();
    }
}

async fn fleet(url: &str, labels: &[&str]) -> [Instance; 3] {
    let fleet = [(); 3].map(|()| Instance::with(url, labels));
    for instance in &fleet {
        instance.connected().await;
    }
    fleet
}

fn state(pool: &KeyPool, key: usize) -> KeyState {
    pool.snapshot().keys[key].state
}

fn fail(pool: &KeyPool, reason: Reason, wait: Option<Duration>) {
    let fault = Fault::new(reason, Scope::Key);
    drop(pool.acquire(()).unwrap().fail(&wait.into_iter().fold(fault, Fault::with_retry_after), None));
}

#[tokio::test]
async fn a_refusal_of_one_is_respected_by_all() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a"), key("b")]);
    let fleet = fleet(&server.url(), &["a", "b"]).await;
    let services = fleet.each_ref().map(|instance| rotating(&instance.pool, &sim));
    sim.key("a").script(Script::always(SimFault::rate_limited(Duration::from_secs(600))));
    for _ in 0..2 {
        send(&services[0], chat("m")).await.unwrap();
    }
    assert_eq!(refusals(&sim, 429), 1);
    let model = ModelId::from("m");
    until(SOON, async || fleet.iter().all(|it| it.pool.usable(Some(&model)) == 1)).await;
    for service in services.iter().cycle().take(30) {
        send(service, chat("m")).await.unwrap();
    }
    assert_eq!(refusals(&sim, 429), 1, "no other instance is refused");
}

fn refusals(sim: &Simulator, status: u16) -> u64 {
    sim.tally().with(StatusCode::from_u16(status).unwrap())
}

#[tokio::test]
async fn a_revoked_key_is_met_once_in_the_whole_fleet() {
    let Some(server) = Server::start(&[]).await else { return };
    let sim = openai([key("a").revoked(), key("b")]);
    let fleet = fleet(&server.url(), &["a", "b"]).await;
    let services = fleet.each_ref().map(|instance| rotating(&instance.pool, &sim));
    send(&services[0], chat("m")).await.unwrap();
    until(SOON, async || fleet.iter().all(|it| state(&it.pool, 0) == KeyState::Invalid)).await;
    for service in services.iter().cycle().take(30) {
        send(service, chat("m")).await.unwrap();
    }
    assert_eq!(refusals(&sim, 401), 1);
    // One that starts later knows it as well, and Redis has no secret.
    let late = Instance::with(&server.url(), &["a", "b"]);
    late.connected().await;
    assert_eq!(state(&late.pool, 0), KeyState::Invalid);
    let content = server.command(&["HGETALL", "{test:openai}:state"]).await;
    let content = format!("{content:?}");
    assert!(content.contains("cooldown") && !content.contains(MARKER), "{content}");
}

#[tokio::test]
async fn what_an_operator_does_reaches_all() {
    let Some(server) = Server::start(&[]).await else { return };
    let [one, two, three] = fleet(&server.url(), &["a", "b"]).await;
    one.pool.disable(&"b".into()).unwrap();
    fail(&two.pool, Reason::QuotaExceeded, Some(HOUR));
    let pools = [&one.pool, &two.pool, &three.pool];
    until(SOON, async || pools.iter().all(|pool| pool.usable(None) == 0)).await;
    three.pool.enable(&"b".into()).unwrap();
    until(SOON, async || pools.iter().all(|pool| pool.usable(None) == 1)).await;
    one.pool.reset(&"a".into()).unwrap();
    until(SOON, async || pools.iter().all(|pool| pool.usable(None) == 2)).await;
}

#[tokio::test]
async fn requests_go_on_while_redis_is_killed_stopped_and_emptied() {
    let Some(server) = Server::start(&[]).await else { return };
    let (url, port) = (server.url(), server.port);
    let sim = openai([key("a"), key("b"), key("c")]);
    let mut fleet = fleet(&url, &["a", "b", "c"]).await;
    let services = fleet.each_ref().map(|instance| rotating(&instance.pool, &sim));
    let load = tokio::spawn(async move {
        let mut served = 0;
        for service in services.iter().cycle() {
            send(service, chat("m")).await.expect("a key is usable");
            served += 1;
            tokio::task::yield_now().await;
            if served == 3_000 {
                break;
            }
        }
    });
    server.signal("-STOP");
    fail(&fleet[0].pool, Reason::InvalidKey, None);
    sleep(Duration::from_millis(300)).await;
    server.signal("-CONT");
    until(LATER, async || fleet.iter().all(|it| it.pool.usable(None) == 2)).await;
    drop(server);
    for instance in &mut fleet {
        assert!(instance.news().await.is_some());
    }
    let server = Server::start_at(port, &[]).await.unwrap();
    for instance in &mut fleet {
        assert_eq!(instance.news().await, None);
    }
    // The new server was empty, and knows everything again.
    let late = Instance::with(&server.url(), &["a", "b", "c"]);
    late.connected().await;
    assert_eq!(late.pool.usable(None), 2);
    load.await.unwrap();
}

/// Returns the gauge of the store of the state: 1 if it works, 0 if it fails.
#[cfg(feature = "metrics")]
fn up(pool: &KeyPool) -> Option<f64> {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || pool.record_metrics());
    let all = recorder.snapshotter().snapshot().into_vec();
    all.into_iter().find_map(|(key, _, _, value)| match value {
        DebugValue::Gauge(value) if key.key().name() == "tower_key_rotation_store_up" => {
            key.key().labels().any(|label| label.value() == "redis").then_some(*value)
        }
        _ => None,
    })
}

#[tokio::test]
async fn a_redis_that_does_not_work_is_told_and_sharing_goes_on_when_it_does() {
    // Down at the start.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("redis://user:{MARKER}@127.0.0.1:{port}");
    let mut early = Instance::with(&url, &["a", "b"]);
    let reason = early.news().await.unwrap();
    assert!(!reason.contains(MARKER) && !early.status.is_connected(), "{reason}");
    #[cfg(feature = "metrics")]
    assert_eq!(up(&early.pool), Some(0.0));
    fail(&early.pool, Reason::QuotaExceeded, Some(HOUR));
    // The wrong password.
    let Some(server) = Server::start_at(port, &[]).await else { return };
    let mut wrong = Instance::with(&url, &["a", "b"]);
    let reason = wrong.news().await.unwrap();
    assert!(!reason.contains(MARKER), "{reason}");
    assert_eq!(wrong.pool.usable(None), 2);
    let password = format!(">{MARKER}");
    server.command(&["ACL", "SETUSER", "user", "on", &password, "+@all", "~*", "&*"]).await;
    assert_eq!((early.news().await, wrong.news().await), (None, None));
    until(LATER, async || wrong.pool.usable(None) == 1).await;
    // No room, no right to write, and something else in the place of the hash.
    for (harm, heal) in [
        (&["CONFIG", "SET", "maxmemory", "1"][..], &["CONFIG", "SET", "maxmemory", "0"][..]),
        (&["CONFIG", "SET", "min-replicas-to-write", "1"], &["CONFIG", "SET", "min-replicas-to-write", "0"]),
        (&["SET", "{test:openai}:state", "something else"], &["DEL", "{test:openai}:state"]),
    ] {
        server.command(harm).await;
        early.pool.reset_all();
        fail(&early.pool, Reason::QuotaExceeded, Some(HOUR));
        assert!(early.news().await.is_some(), "{harm:?}");
        #[cfg(feature = "metrics")]
        assert_eq!(up(&early.pool), Some(0.0));
        assert_eq!(early.pool.usable(None), 1);
        server.command(heal).await;
        assert_eq!(early.news().await, None, "{heal:?}");
        #[cfg(feature = "metrics")]
        assert_eq!(up(&early.pool), Some(1.0));
        until(LATER, async || early.pool.export().len() <= wrong.pool.export().len()).await;
    }
}

#[tokio::test]
async fn garbage_of_others_in_the_hash_is_ignored() {
    let Some(server) = Server::start(&[]).await else { return };
    let hash = "{test:openai}:state";
    for field in ["", "x", "{}", "{\"kind\":\"mood\"}", "{\"kind\":\"cooldown\",\"owner\":\"key:zz\"}"] {
        server.command(&["HSET", hash, field, "zzzz"]).await;
    }
    let one = Instance::with(&server.url(), &["a", "b"]);
    one.connected().await;
    fail(&one.pool, Reason::QuotaExceeded, Some(HOUR));
    until(SOON, async || format!("{:?}", server.command(&["HKEYS", hash]).await).contains("cooldown")).await;
    // A value that is no register does not win, however large.
    let fields: Vec<String> = redis::from_redis_value(server.command(&["HKEYS", hash]).await).unwrap();
    for field in fields.iter().filter(|field| field.contains("owner")) {
        server.command(&["HSET", hash, field, "zzzz"]).await;
    }
    server.command(&["PUBLISH", "{test:openai}:news", "[1, {}, \"zz\"]"]).await;
    fail(&one.pool, Reason::InvalidKey, None);
    let two = Instance::with(&server.url(), &["a", "b"]);
    two.connected().await;
    until(LATER, async || state(&two.pool, 1) == KeyState::Invalid).await;
}

#[tokio::test]
async fn counts_are_added_and_survive_an_empty_redis() {
    let Some(server) = Server::start(&[]).await else { return };
    let (url, port) = (server.url(), server.port);
    let made = || {
        Instance::of(&url, |events| {
            builder(&["a"], events).quota(Quota::requests(25).per_day()).build().unwrap()
        })
    };
    let mut instances = [made(), made()];
    for instance in &instances {
        instance.connected().await;
    }
    (0..5).for_each(|_| instances[0].pool.acquire(()).unwrap().succeed());
    (0..7).for_each(|_| instances[1].pool.acquire(()).unwrap().succeed());
    let left = |instance: &Instance| instance.pool.snapshot().keys[0].limits[0].remaining;
    until(SOON, async || instances.iter().all(|it| left(it) == 13)).await;
    drop(server);
    for instance in &mut instances {
        assert!(instance.news().await.is_some());
        instance.pool.acquire(()).unwrap().succeed();
    }
    let _server = Server::start_at(port, &[]).await.unwrap();
    until(LATER, async || instances.iter().all(|it| left(it) == 11)).await;
    let late = made();
    late.connected().await;
    until(LATER, async || left(&late) == 11).await;
    // Nothing is added again by the comparisons that follow.
    sleep(Duration::from_millis(300)).await;
    assert!(instances.iter().all(|it| left(it) == 11));
}

#[test]
fn a_url_of_something_else_is_refused_without_being_shown() {
    for url in ["", "http://user:tkrmarker@x", "redis://user:tkrmarker@x:port", "tkrmarker"] {
        let error = RedisStore::new(url).map(drop).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(MARKER));
    }
}
