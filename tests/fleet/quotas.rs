//! Limits that several instances share, over Sentinels, a cluster, and a slow Redis, on real servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt};
use tower_key_rotation::event::EventKind;
use tower_key_rotation::limits::Quota;
use tower_key_rotation::rotate::KeyRotation;
use tower_key_rotation::store::RedisStore;
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::Simulator;

use crate::redis::{LATER, Server, until};
use crate::servers::{Sentinel, cluster, said};
use crate::stage::{Instance, sim, slow, slow_for};
use crate::support::{at_sim, chat, secret};

/// Creates an instance whose only key may serve this number of requests a day.
fn instance(store: RedisStore, a_day: u64) -> Instance {
    let key = ApiKey::new(secret("a")).unwrap().id("a");
    let builder = KeyPool::builder(at_sim(Provider::openai())).key(key);
    Instance::serving(store, builder.quota(Quota::requests(a_day).per_day()))
}

fn service(instance: &Instance, sim: &Simulator) -> KeyRotation<Simulator> {
    let layer = KeyRotationLayer::new(instance.pool.clone()).wait_for_key(true);
    layer.deadline(Duration::from_secs(4)).layer(sim.clone())
}

/// Sends requests of all instances at a time. Returns how many were served.
async fn send_by_all(fleet: &[Instance], sim: &Simulator, each: usize) -> usize {
    let services = fleet.iter().flat_map(|instance| (0..each).map(|_| service(instance, sim)));
    let served = join_all(services.map(|service| service.oneshot(chat("m")))).await;
    served.into_iter().filter(Result::is_ok).count()
}

fn calls(sim: &Simulator) -> u64 {
    sim.tally().with(http::StatusCode::OK)
}

async fn connected(fleet: &[Instance]) {
    for instance in fleet {
        instance.connected().await;
    }
}

/// Sends requests by all instances, two at a time by each, until it is told to stop. Those that fail are tried again.
fn load(fleet: &[Instance], sim: &Simulator, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let services = fleet.iter().flat_map(|instance| [(); 2].map(|()| service(instance, sim)));
    let serve = |service: KeyRotation<Simulator>| {
        let stop = Arc::clone(stop);
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let _refused = service.clone().oneshot(chat("m")).await;
                sleep(Duration::from_millis(5)).await;
            }
        })
    };
    services.map(serve).collect()
}

#[tokio::test]
async fn a_limit_holds_over_a_failover() {
    const A_DAY: u64 = 2_000;
    let Some(master) = Server::start(&[]).await else { return };
    let _replica = Server::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]).await.unwrap();
    let sentinel = Sentinel::start(master.port);
    let knows = async || said(&sentinel.url(), &["SENTINEL", "REPLICAS", "mymaster"]).await.contains("slave");
    until(LATER, knows).await;
    let store = || RedisStore::new("redis://mymaster").unwrap().sentinel(&sentinel.url()).unwrap();
    let (sim, mut fleet) = (sim(), [(); 3].map(|()| instance(store(), A_DAY)));
    connected(&fleet).await;
    let stop = Arc::<AtomicBool>::default();
    let tasks = load(&fleet, &sim, &stop);
    until(LATER, async || calls(&sim) > A_DAY / 4).await;
    drop(master);
    let before = calls(&sim);
    for instance in &mut fleet {
        assert!(instance.news().await.is_some());
        assert_eq!(instance.news().await, None);
    }
    let meanwhile = calls(&sim);
    until(LATER, async || calls(&sim) >= A_DAY).await;
    sleep(Duration::from_millis(1_000)).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    println!("{before} calls before, {meanwhile} until the failover, {} in the end", calls(&sim));
    assert_eq!(calls(&sim), A_DAY);
}

#[tokio::test]
async fn a_limit_holds_in_a_cluster() {
    let Some(nodes) = cluster().await else { return };
    let store = |node: &Server| RedisStore::new(&node.url()).unwrap().or_at(&nodes[0].url()).unwrap();
    let (sim, fleet) = (sim(), nodes.each_ref().map(|node| instance(store(node), 100)));
    connected(&fleet).await;
    assert_eq!(send_by_all(&fleet, &sim, 10).await, 30);
    // Each node is away for a moment.
    for node in &nodes {
        node.signal("-STOP");
        let served = send_by_all(&fleet, &sim, 5).await;
        node.signal("-CONT");
        assert_eq!(served, 15, "each instance holds a part");
    }
    send_by_all(&fleet, &sim, 40).await;
    until(LATER, async || send_by_all(&fleet, &sim, 1).await == 0 && calls(&sim) >= 100).await;
    assert_eq!(calls(&sim), 100);
}

#[tokio::test]
async fn a_slow_redis_shares_limits() {
    let Some(server) = Server::start(&[]).await else { return };
    let port = slow(server.port, Duration::from_millis(250)).await;
    let store = || RedisStore::new(&format!("redis://127.0.0.1:{port}")).unwrap();
    let (sim, fleet) = (sim(), [(); 2].map(|()| instance(store(), 25)));
    connected(&fleet).await;
    let mut heard = fleet[0].pool.subscribe();
    // Each has heard of the other, and of its own part.
    sleep(Duration::from_secs(2)).await;
    let began = Instant::now();
    assert_eq!(send_by_all(&fleet, &sim, 20).await, 25);
    println!("25 requests and 15 refusals took {:?}", Instant::now() - began);
    assert_eq!(calls(&sim), 25);
    while let Ok(Some(Ok(event))) = timeout(Duration::from_millis(10), heard.next()).await {
        assert!(!matches!(event.kind, EventKind::StoreFailed { .. }), "{event:?}");
    }
}

#[tokio::test]
async fn limits_that_are_not_shared_are_an_event() {
    let Some(server) = Server::start(&[]).await else { return };
    let is_demand = |bytes: &[u8]| bytes.windows(11).any(|text| text == b"}:instances");
    let port = slow_for(
        server.port,
        move |bytes| {
            if is_demand(bytes) { Duration::from_secs(2) } else { Duration::ZERO }
        },
    )
    .await;
    let fleet = [instance(RedisStore::new(&format!("redis://127.0.0.1:{port}")).unwrap(), 25)];
    let mut heard = fleet[0].pool.subscribe();
    connected(&fleet).await;
    loop {
        let event = timeout(LATER, heard.next()).await.expect("an event").unwrap().unwrap();
        if let EventKind::StoreFailed { store, .. } = event.kind {
            assert_eq!(store, "redis quotas");
            break;
        }
    }
    assert!(!fleet[0].has_news(), "the state is shared");
}
