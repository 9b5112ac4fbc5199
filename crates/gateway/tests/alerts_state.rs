//! Alerts about the stores of the state: one incident for all pools of a store, from its first failure to its last.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/sink.rs"]
#[allow(dead_code, reason = "no test uses all of it")]
mod sink;

use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sink::Sink;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::event::{EventKind, Events};
use tower_key_rotation::store::FileStore;
use tower_key_rotation::{ApiKey, KeyPool, Provider};
use tower_key_rotation_gateway::alert::{Alerts, Rules, Webhook};

fn pool(events: &Events) -> KeyPool {
    let key = ApiKey::new("sk-one").unwrap().id("a");
    KeyPool::builder(Provider::openai()).key(key).events(events).build().unwrap()
}

fn start(webhook: Webhook, events: &Events) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    Alerts::new().webhook(webhook, client).start(events);
}

#[tokio::test]
async fn a_store_that_fails_is_one_incident_for_all_its_pools() {
    let mut sink = Sink::start([]).await;
    let events = Events::new();
    let other = KeyPool::builder(Provider::anthropic()).key(ApiKey::new("sk-three").unwrap().id("c"));
    let pools = [pool(&events), other.events(&events).build().unwrap()];
    start(sink.webhook().rules(Rules::none().state_lost(true)), &events);
    let place = std::env::temp_dir().join(format!("gateway-alerts-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let mut store = FileStore::open(place.join("state.json")).unwrap().every(Duration::from_millis(10));
    pools.iter().for_each(|pool| store.add(pool));
    // A directory in the place of the new file can't be replaced.
    let blocked = place.join("state.json.new");
    std::fs::create_dir(&blocked).unwrap();
    let saving = tokio::spawn(store.run_forever());
    assert_eq!(sink.alerts().await, ["firing state_lost/file"]);
    std::fs::remove_dir(&blocked).unwrap();
    assert_eq!(sink.alerts().await, ["resolved state_lost/file"]);
    saving.abort();
    std::fs::remove_dir_all(&place).unwrap();
}

#[tokio::test]
async fn a_store_recovers_when_it_works_for_the_last_of_its_pools() {
    let mut sink = Sink::start([]).await;
    let events = Events::new();
    let other = KeyPool::builder(Provider::anthropic()).key(ApiKey::new("sk-three").unwrap().id("c"));
    let pools = [pool(&events), other.events(&events).build().unwrap()];
    start(sink.webhook().rules(Rules::none().state_lost(true).key_invalid(true)), &events);
    let place = std::env::temp_dir().join(format!("gateway-alerts-last-{}", std::process::id()));
    let blocked = ["one", "other"].map(|name| place.join(name).join("state.json.new"));
    let (mut saving, mut heard) = (Vec::new(), events.subscribe());
    for (pool, blocked) in pools.iter().zip(&blocked) {
        std::fs::create_dir_all(blocked).unwrap();
        let store = FileStore::open(blocked.with_file_name("state.json")).unwrap();
        let mut store = store.every(Duration::from_millis(10));
        store.add(pool);
        saving.push(tokio::spawn(store.run_forever()));
    }
    assert_eq!(sink.alerts().await, ["firing state_lost/file"]);
    let mut failing = 0;
    while failing < 2 {
        let event = heard.next().await.unwrap().unwrap();
        failing += usize::from(matches!(event.kind, EventKind::StoreFailed { .. }));
    }
    std::fs::remove_dir(&blocked[0]).unwrap();
    while !matches!(heard.next().await.unwrap().unwrap().kind, EventKind::StoreRecovered { .. }) {}
    pools[0].acquire(()).unwrap().fail(&Fault::new(Reason::InvalidKey, Scope::Key), None);
    assert_eq!(sink.alerts().await, ["firing key_invalid/openai/a"], "the other one fails still");
    std::fs::remove_dir(&blocked[1]).unwrap();
    assert_eq!(sink.alerts().await, ["resolved state_lost/file"]);
    saving.iter().for_each(tokio::task::JoinHandle::abort);
    std::fs::remove_dir_all(&place).unwrap();
}

#[tokio::test]
async fn a_damaged_state_file_is_an_incident_until_the_first_write() {
    let mut sink = Sink::start([]).await;
    let events = Events::new();
    let pool = pool(&events);
    start(sink.webhook().rules(Rules::none().state_lost(true)), &events);
    let place = std::env::temp_dir().join(format!("gateway-alerts-damaged-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("state.json"), "{").unwrap();
    let mut store = FileStore::open(place.join("state.json")).unwrap().every(Duration::from_secs(2));
    store.add(&pool);
    let saving = tokio::spawn(store.run_forever());
    assert_eq!(sink.alerts().await, ["firing state_lost/file"]);
    assert_eq!(sink.alerts().await, ["resolved state_lost/file"]);
    saving.abort();
    std::fs::remove_dir_all(&place).unwrap();
}

#[tokio::test]
async fn a_store_that_fails_from_the_start_of_the_program_is_an_incident() {
    let mut sink = Sink::start([]).await;
    let nothing = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = std::env::temp_dir().join(format!("gateway-alerts-start-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let file = place.join("gateway.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[redis]\nurl = \"redis://{nothing}\"\n\
         [[alert]]\nurl = \"{}\"\ngroup_wait = \"1ms\"\non = [\"state_lost\"]\n\
         [[provider]]\nname = \"openai\"\nbase_url = \"http://{nothing}/v1\"\n[[provider.key]]\nsecret = \"sk-one\"\n",
        sink.url
    );
    std::fs::write(&file, text).unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_key-rotation-gateway"));
    command.arg("--config").arg(&file).kill_on_drop(true);
    let null = std::process::Stdio::null;
    let _process = command.stdout(null()).stderr(null()).spawn().unwrap();
    assert_eq!(sink.alerts().await, ["firing state_lost/redis"]);
    std::fs::remove_dir_all(&place).unwrap();
}
