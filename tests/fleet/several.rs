//! Sentinels and clusters, on real servers.

use std::time::Duration;

use tower_key_rotation::Provider;
use tower_key_rotation::store::RedisStore;

use crate::redis::{LATER, Server, until};
use crate::servers::{Sentinel, cluster, said};
use crate::stage::{Instance, Load, SOON, sim};

#[tokio::test]
async fn a_failover_of_sentinels_is_followed() {
    let Some(master) = Server::start(&[]).await else { return };
    let replica = Server::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]).await.unwrap();
    let sentinel = Sentinel::start(master.port);
    let knows = async || said(&sentinel.url(), &["SENTINEL", "REPLICAS", "mymaster"]).await.contains("slave");
    until(LATER, knows).await;
    let store = || {
        let store = RedisStore::new("redis://mymaster").unwrap();
        store.sentinel("redis://127.0.0.1:1").unwrap().sentinel(&sentinel.url()).unwrap()
    };
    let (sim, mut fleet) = (sim(), [Instance::of(store()), Instance::of(store())]);
    for instance in &fleet {
        instance.connected().await;
    }
    let load = Load::start(&fleet, &sim);
    fleet[0].pool.disable(&"a".into()).unwrap();
    until(SOON, async || fleet[1].pool.usable(None) == 2).await;
    drop(master);
    // While there is no master, each goes on with what it knows.
    fleet[1].pool.disable(&"b".into()).unwrap();
    for instance in &mut fleet {
        assert!(instance.news().await.is_some());
        assert_eq!(instance.news().await, None);
    }
    until(LATER, async || fleet[0].pool.usable(None) == 1).await;
    load.stop().await;
    assert!(fleet.iter().all(|instance| !instance.has_news()), "it is told once");
    assert!(said(&replica.url(), &["ROLE"]).await.contains("master"));
    let late = Instance::of(store());
    late.connected().await;
    assert_eq!(late.pool.usable(None), 1);
}

#[tokio::test]
async fn the_state_of_each_provider_is_found_in_a_cluster() {
    let Some(nodes) = cluster().await else { return };
    let providers = ["openai", "anthropic", "gemini", "groq", "mistral", "xai"];
    let instance = |node: &Server| {
        let store = RedisStore::new(&node.url()).unwrap().or_at(&nodes[2].url()).unwrap();
        let pools = store.pools();
        let instance = Instance::with(store, Provider::preset("openai").unwrap());
        let more = providers[1..].iter().map(|name| {
            let provider = Provider::preset(name).unwrap();
            let key = tower_key_rotation::ApiKey::new(crate::support::secret(name)).unwrap().id("a");
            tower_key_rotation::KeyPool::builder(provider).key(key).build().unwrap()
        });
        let more: Vec<_> = more.collect();
        more.iter().for_each(|pool| pools.add(pool));
        let all: Vec<_> = [instance.pool.clone()].into_iter().chain(more).collect();
        (instance, all)
    };
    let ((one, ones), (two, twos)) = (instance(&nodes[0]), instance(&nodes[1]));
    for instance in [&one, &two] {
        instance.connected().await;
    }
    for pool in &ones {
        pool.disable(&"a".into()).unwrap();
    }
    let are_out =
        |pools: &[tower_key_rotation::KeyPool]| pools.iter().skip(1).all(|pool| pool.usable(None) == 0);
    until(SOON, async || are_out(&twos) && two.pool.usable(None) == 2).await;
    assert!(!one.has_news() && !two.has_news(), "a redirection is no failure");
    let holders =
        async |node: &Server| said(&node.url(), &["KEYS", "*:state"]).await.matches(":state").count();
    let counts = [holders(&nodes[0]).await, holders(&nodes[1]).await, holders(&nodes[2]).await];
    assert!(
        counts.iter().sum::<usize>() == providers.len() && !counts.contains(&providers.len()),
        "{counts:?}"
    );
    // A node that stops concerns its providers only, and is used again when it goes on.
    nodes[1].signal("-STOP");
    tokio::time::sleep(Duration::from_millis(200)).await;
    nodes[1].signal("-CONT");
    for pool in &twos {
        pool.enable(&"a".into()).unwrap();
    }
    until(LATER, async || {
        ones.iter().skip(1).all(|pool| pool.usable(None) == 1) && one.pool.usable(None) == 3
    })
    .await;
}
