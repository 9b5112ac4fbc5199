//! The verbs of an operator reach every pool that shares the state.

use std::time::Duration;

use tokio::time::{advance, timeout};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::event::Subscription;
use tower_key_rotation::pool::{KeyPoolBuilder, KeySnapshot, KeyState};
use tower_key_rotation::{ApiKey, KeyPool, ModelId, Provider};

use crate::support::{pool, secret};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

fn builder(labels: &[&str]) -> KeyPoolBuilder {
    let keys = labels.iter().map(|label| ApiKey::new(secret(label)).unwrap().id(*label));
    KeyPool::builder(Provider::openai()).keys(keys)
}

/// Lets each of the pools hear of the others.
fn meet(pools: &[&KeyPool]) {
    for to in pools {
        pools.iter().for_each(|from| to.merge(from.export()).unwrap());
    }
}

fn first(pool: &KeyPool) -> KeySnapshot {
    pool.snapshot().keys.remove(0)
}

/// Returns the names of the events that have come, with their key and wait.
async fn events(subscription: &mut Subscription) -> Vec<String> {
    let mut seen = Vec::new();
    while let Ok(Some(event)) = timeout(Duration::from_millis(1), subscription.next()).await {
        let event = serde_json::to_value(event.unwrap()).unwrap();
        seen.push(format!("{} {} {}", event["event"], event["key"], event["wait_ms"]).replace('"', ""));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_forced_cooldown_is_one_everywhere() {
    let (one, two, chat) = (pool(&["a"]), pool(&["a"]), ModelId::from("chat"));
    let under_way = two.acquire(()).unwrap();
    advance(MINUTE).await;
    one.cool_down(&"a".into(), None, MINUTE).unwrap();
    one.cool_down(&"a".into(), Some(&chat), HOUR).unwrap();
    let mut heard = two.subscribe();
    two.merge(one.export()).unwrap();
    two.merge(one.export()).unwrap();
    assert_eq!(events(&mut heard).await, ["forced_cooldown a 60000", "forced_cooldown a 3600000"]);
    let (here, there) = (first(&one), first(&two));
    assert!(there.forced && there.models[0].forced && there.state == KeyState::RateLimited);
    assert_eq!((here.since, here.until), (there.since, there.until));
    assert_eq!(here.models, there.models);
    // A success of before does not end it, and its end is a probe.
    under_way.succeed();
    assert_eq!((two.usable(None), two.usable(Some(&chat))), (0, 0));
    advance(MINUTE).await;
    assert!(!first(&two).forced && two.acquire(()).unwrap().is_probe());
}

#[tokio::test(start_paused = true)]
async fn the_early_end_of_another_cooldown_leaves_it() {
    let (one, two) = (pool(&["a"]), pool(&["a"]));
    let limited = Fault::new(Reason::QuotaExceeded, Scope::Key).with_retry_after(HOUR);
    let undo = one.acquire(()).unwrap().fail(&limited, None);
    meet(&[&one, &two]);
    two.cool_down(&"a".into(), None, MINUTE).unwrap();
    assert!(!first(&two).forced, "the longer one counts");
    advance(Duration::from_secs(1)).await;
    undo.unwrap().undo();
    assert_eq!(one.usable(None), 1);
    meet(&[&one, &two]);
    meet(&[&one, &two]);
    for pool in [&one, &two] {
        assert!(first(pool).forced && pool.usable(None) == 0);
    }
    advance(MINUTE).await;
    assert_eq!((one.usable(None), two.usable(None)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_reset_ends_it_in_whatever_order_the_news_comes() {
    let (one, two) = (pool(&["a"]), pool(&["a"]));
    one.cool_down(&"a".into(), None, HOUR).unwrap();
    let forced = one.export();
    two.merge(forced.clone()).unwrap();
    two.reset(&"a".into()).unwrap();
    let reset = two.export();
    advance(MINUTE).await;
    two.cool_down(&"a".into(), None, MINUTE).unwrap();
    let again = two.export();
    let states = [&forced, &reset, &again];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let late = pool(&["a"]);
        let mut news = order.into_iter().map(|number| states[number].clone());
        late.merge(news.next().unwrap()).unwrap();
        news.for_each(|state| late.merge(state).unwrap());
        assert_eq!(first(&late).until, first(&two).until, "{order:?}");
        let late = pool(&["a"]);
        order.into_iter().filter(|number| *number < 2).for_each(|it| late.merge(states[it].clone()).unwrap());
        assert_eq!(late.usable(None), 1, "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_orders_that_cross_the_longer_counts() {
    let (one, two) = (pool(&["a"]), pool(&["a"]));
    one.cool_down(&"a".into(), None, HOUR).unwrap();
    advance(Duration::from_millis(1)).await;
    two.cool_down(&"a".into(), None, MINUTE).unwrap();
    meet(&[&one, &two]);
    assert_eq!((first(&one).until, first(&one).forced), (first(&two).until, true));
    advance(MINUTE).await;
    assert_eq!((one.usable(None), two.usable(None)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_drained_everywhere() {
    let (one, two) = (pool(&["a", "b"]), pool(&["a", "b"]));
    let under_way = two.acquire(()).unwrap();
    let mut heard = two.subscribe();
    advance(MINUTE).await;
    one.drain(&"a".into()).unwrap().drained().await;
    two.merge(one.export()).unwrap();
    assert_eq!(events(&mut heard).await, ["disabled a null"]);
    under_way.succeed();
    assert_eq!(events(&mut heard).await, ["drained a null"]);
    two.enable(&"a".into()).unwrap();
    one.reset(&"b".into()).unwrap();
    one.reset_quota(&"b".into(), None).unwrap();
    let mut heard = one.subscribe();
    meet(&[&one, &two]);
    assert_eq!(events(&mut heard).await, ["enabled a null"]);
    assert_eq!((one.usable(None), two.usable(None)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn orders_of_before_a_start_are_kept_without_events() {
    let before = pool(&["a", "b", "c"]);
    before.cool_down(&"a".into(), None, HOUR).unwrap();
    let _drained = before.drain(&"b".into()).unwrap();
    before.reset(&"c".into()).unwrap();
    let state = before.export();
    advance(MINUTE).await;
    let after = builder(&["a", "b", "c"]).build().unwrap();
    let mut heard = after.subscribe();
    after.merge(state).unwrap();
    assert_eq!((after.usable(None), first(&after).forced), (1, true));
    assert_eq!(events(&mut heard).await, [""; 0]);
    // A key that comes later is under the orders that are known of it.
    drop(after.reload(["c"].map(|label| ApiKey::new(secret(label)).unwrap().id(label))).unwrap());
    drop(after.reload(["a", "b"].map(|label| ApiKey::new(secret(label)).unwrap().id(label))).unwrap());
    after.export();
    assert_eq!((after.usable(None), first(&after).forced), (0, true));
}

#[tokio::test(start_paused = true)]
async fn an_order_after_unknown_resets_stays_and_spreads() {
    let (one, two) = (pool(&["a"]), pool(&["a"]));
    one.reset(&"a".into()).unwrap();
    one.cool_down(&"a".into(), None, HOUR).unwrap();
    one.reset(&"a".into()).unwrap();
    advance(MINUTE).await;
    two.cool_down(&"a".into(), None, MINUTE).unwrap();
    meet(&[&one, &two]);
    meet(&[&one, &two]);
    assert_eq!((one.usable(None), two.usable(None)), (0, 0));
    assert_eq!(first(&one).until, first(&two).until);
}

#[test]
fn a_key_is_as_the_order_says_that_counts() {
    let other = pool(&["a"]);
    for _ in 0..500 {
        let one = pool(&["a"]);
        other.merge(one.export()).unwrap();
        other.disable(&"a".into()).unwrap();
        let disabled = other.export();
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| (start.wait(), one.enable(&"a".into()).unwrap()));
            scope.spawn(|| (start.wait(), one.merge(disabled).unwrap()));
        });
        let late = pool(&["a"]);
        late.merge(one.export()).unwrap();
        assert_eq!(first(&one).state, first(&late).state);
    }
}
