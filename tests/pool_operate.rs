//! The operations and the snapshots of a pool.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

#[path = "support/pool.rs"]
mod support;

use std::time::Duration;

use tokio::time::{advance, timeout};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::key::Tier;
use tower_key_rotation::pool::{KeyPool, KeyState, PoolSnapshot};

use self::support::*;

#[tokio::test(start_paused = true)]
async fn a_reset_covers_all_scopes_of_a_key() {
    let pool = builder().key(key("a").account("org")).build().unwrap();
    let chat = model("chat");
    for scope in [Scope::Key, Scope::Account, Scope::KeyModel, Scope::AccountModel] {
        for reason in [Reason::RateLimited, Reason::QuotaExceeded, Reason::InvalidKey, Reason::Forbidden] {
            pool.acquire(Some(&chat)).unwrap().fail(&Fault::new(reason, scope), Some(&chat));
            assert!(pool.acquire(Some(&chat)).is_err(), "{reason} {scope}");
            pool.reset(&id("a")).unwrap();
            assert!(!pool.acquire(Some(&chat)).unwrap().is_probe(), "{reason} {scope}");
            assert_eq!(shown(&pool, "a").state, KeyState::Available);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_ignores_earlier_attempts() {
    let pool = pool(&["a"]);
    let (one, late) = (lease(&pool), lease(&pool));
    one.fail(&invalid(), None);
    pool.reset(&id("a")).unwrap();
    assert!(late.fail(&invalid(), None).is_none());
    assert_eq!(next(&pool), "a");
}

#[tokio::test(start_paused = true)]
async fn a_reset_resets_the_doubling() {
    let pool = pool(&["a"]);
    for _ in 0..5 {
        lease(&pool).fail(&unhinted(), None);
        advance(wait(&pool).unwrap()).await;
    }
    pool.reset(&id("a")).unwrap();
    lease(&pool).fail(&unhinted(), None);
    assert!(wait(&pool).unwrap() <= SECOND * 5 / 4);
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_one_key_leaves_the_others() {
    let pool = pool(&["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        fail(&pool, name, &limit(MINUTE));
    }
    pool.reset(&id("b")).unwrap();
    assert_eq!([next(&pool), next(&pool)], ["b", "b"]);
    pool.reset_all();
    let mut names = [next(&pool), next(&pool), next(&pool)];
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_key_is_not_used() {
    let pool = pool(&["a", "b"]);
    let running = lease_of(&pool, "a", None);
    pool.disable(&id("a")).unwrap();
    for _ in 0..5 {
        assert_eq!(next(&pool), "b");
    }
    running.succeed();
    pool.reset(&id("a")).unwrap();
    pool.reset_all();
    advance(DAY).await;
    assert_eq!(next(&pool), "b");
    pool.enable(&id("a")).unwrap();
    let mut names = [next(&pool), next(&pool)];
    names.sort();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_enabled_in_the_state_it_was_in() {
    let pool = pool(&["a", "b"]);
    fail(&pool, "a", &limit(MINUTE));
    pool.disable(&id("a")).unwrap();
    advance(SECOND).await;
    pool.enable(&id("a")).unwrap();
    fail(&pool, "b", &limit(10 * MINUTE));
    assert_eq!(wait(&pool), Some(MINUTE - SECOND));
    pool.disable(&id("a")).unwrap();
    assert_eq!(wait(&pool), Some(10 * MINUTE));
    advance(MINUTE).await;
    pool.enable(&id("a")).unwrap();
    let probe = lease(&pool);
    assert!(probe.is_probe() && probe.key_id().as_str() == "a");
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_disabled_keys_has_no_wait() {
    let pool = pool(&["a", "b"]);
    pool.disable(&id("a")).unwrap();
    pool.disable(&id("b")).unwrap();
    assert_eq!(wait(&pool), None);
}

#[tokio::test(start_paused = true)]
async fn disabling_during_a_probe_loses_nothing() {
    let pool = pool(&["a"]);
    lease(&pool).fail(&limit(SECOND), None);
    advance(SECOND).await;
    let probe = lease(&pool);
    pool.disable(&id("a")).unwrap();
    drop(probe);
    pool.enable(&id("a")).unwrap();
    assert!(lease(&pool).is_probe());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_an_error() {
    let pool = pool(&["a"]);
    for result in [pool.reset(&id("x")), pool.disable(&id("x")), pool.enable(&id("x"))] {
        assert_eq!(result.unwrap_err().to_string(), "no key is named x: see the ids in the pool's snapshot");
    }
}

// === pools ===

#[tokio::test(start_paused = true)]
async fn clones_are_one_pool_and_pools_share_nothing() {
    let (one, other) = (pool(&["a"]), pool(&["a"]));
    let clone = one.clone();
    lease(&one).fail(&limit(MINUTE), None);
    assert_eq!(wait(&clone), Some(MINUTE));
    assert_eq!(next(&other), "a");
    clone.reset_all();
    assert_eq!(next(&one), "a");
}

// === snapshots ===

#[tokio::test(start_paused = true)]
async fn a_snapshot_shows_every_state_with_its_times() {
    let pool = builder()
        .keys(["limited", "spent", "revoked", "refused", "off", "probed"].map(key))
        .key(key("good").account("org").backup())
        .build()
        .unwrap();
    fail(&pool, "probed", &limit(SECOND));
    advance(SECOND).await;
    let probe = lease_of(&pool, "probed", None);
    let start = Timestamp::now();
    let fault = |reason| Fault::new(reason, Scope::Key).with_retry_after(HOUR);
    fail(&pool, "limited", &limit(MINUTE));
    fail(&pool, "spent", &fault(Reason::QuotaExceeded));
    fail(&pool, "revoked", &fault(Reason::InvalidKey));
    fail(&pool, "refused", &fault(Reason::Forbidden));
    pool.disable(&id("off")).unwrap();
    advance(SECOND).await;
    lease(&pool).succeed();

    let snapshot = pool.snapshot();
    assert_eq!((snapshot.provider.as_str(), snapshot.at), ("openai", Timestamp::now()));
    let expected = [
        ("limited", KeyState::RateLimited, Some(start), Some(start.saturating_add(MINUTE))),
        ("spent", KeyState::QuotaExceeded, Some(start), Some(start.saturating_add(HOUR))),
        ("revoked", KeyState::Invalid, Some(start), None),
        ("refused", KeyState::Forbidden, Some(start), Some(start.saturating_add(HOUR))),
        ("off", KeyState::Disabled, Some(start), None),
        ("good", KeyState::Available, None, None),
    ];
    for (name, state, since, until) in expected {
        let shown = shown(&pool, name);
        assert_eq!((shown.state, shown.since, shown.until), (state, since, until), "{name}");
        assert!(shown.models.is_empty());
    }
    assert_eq!(shown(&pool, "probed").state, KeyState::Probing);
    drop(probe);

    let good = shown(&pool, "good");
    assert_eq!((good.tier, good.account.unwrap().as_str()), (Tier::Backup, "org"));
    assert_eq!((good.calls, good.successes, good.faults), (1, 1, 0));
    assert_eq!(good.last_used, Some(Timestamp::now()));
    assert_eq!(shown(&pool, "off").last_used.is_none(), shown(&pool, "off").calls == 0);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_counts_attempts() {
    let pool = pool(&["a"]);
    for _ in 0..3 {
        lease(&pool).fail(&limit(SECOND), None);
        advance(SECOND).await;
    }
    let before = shown(&pool, "a");
    assert_eq!((before.calls, before.faults, before.consecutive_faults), (3, 3, 3));
    lease(&pool).succeed();
    drop(lease(&pool));
    let after = shown(&pool, "a");
    assert_eq!((after.calls, after.successes, after.faults, after.consecutive_faults), (5, 1, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_disabled_key_shows_no_end() {
    let pool = pool(&["a"]);
    lease(&pool).fail(&limit(MINUTE), None);
    advance(SECOND).await;
    pool.disable(&id("a")).unwrap();
    let since = Timestamp::now();
    advance(SECOND).await;
    pool.disable(&id("a")).unwrap();
    let shown = shown(&pool, "a");
    assert_eq!((shown.state, shown.since, shown.until), (KeyState::Disabled, Some(since), None));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_survives_json_and_holds_no_secret() {
    let pool = marked();
    let chat = model("chat");
    pool.acquire(Some(&chat)).unwrap().fail(&Fault::new(Reason::QuotaExceeded, Scope::KeyModel), Some(&chat));
    let snapshot = pool.snapshot();
    let text = serde_json::to_string_pretty(&snapshot).unwrap();
    assert_eq!(serde_json::from_str::<PoolSnapshot>(&text).unwrap(), snapshot);
    assert!(text.contains("\"quota_exceeded\""), "{text}");
    for text in [text, format!("{snapshot:?}"), format!("{snapshot:#?}")] {
        assert!(!text.contains("MARKER"), "{text}");
    }
}

fn marked() -> KeyPool {
    let key = tower_key_rotation::ApiKey::new("sk-MARKER").unwrap();
    builder().key(key).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_force_a_cooldown() {
    let pool = pool(&["a"]);
    let under_way = lease(&pool);
    pool.cool_down(&id("a"), None, MINUTE).unwrap();
    under_way.succeed();
    assert_eq!(wait(&pool), Some(MINUTE));
    pool.cool_down(&id("a"), None, SECOND).unwrap();
    assert_eq!(wait(&pool), Some(MINUTE), "it only grows");
    advance(MINUTE).await;
    let probe = lease(&pool);
    assert!(probe.is_probe());
    pool.cool_down(&id("a"), None, SECOND).unwrap();
    probe.succeed();
    assert_eq!(wait(&pool), Some(SECOND), "the probe began before");
    pool.reset(&id("a")).unwrap();
    assert!(!lease(&pool).is_probe());
    assert!(pool.cool_down(&id("nobody"), None, SECOND).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_can_be_forced_until_a_time() {
    let (pool, slow) = (pool(&["a"]), model("slow"));
    let after = |wait: Duration| Timestamp::now().saturating_add(wait);
    pool.cool_down_until(&id("a"), None, after(MINUTE)).unwrap();
    assert_eq!(wait(&pool), Some(MINUTE));
    pool.reset(&id("a")).unwrap();
    pool.cool_down_until(&id("a"), Some(&slow), after(HOUR)).unwrap();
    assert_eq!(exhausted(&pool, Some(&slow)).retry_after(), Some(HOUR));
    pool.cool_down_until(&id("a"), None, Timestamp::from_unix_ms(0)).unwrap();
    assert!(lease(&pool).is_probe(), "a time in the past asks for a probe");
    assert!(pool.cool_down_until(&id("nobody"), None, after(SECOND)).is_err());
}

#[tokio::test(start_paused = true)]
async fn each_verb_has_an_event() {
    let pool = pool(&["a", "b"]);
    let (a, chat) = (id("a"), model("chat"));
    let mut subscription = pool.subscribe();
    pool.reset(&a).unwrap();
    pool.reset_all();
    pool.reset_quota(&a, Some(&chat)).unwrap();
    pool.cool_down(&a, Some(&chat), MINUTE).unwrap();
    pool.cool_down_until(&a, None, Timestamp::now().saturating_add(SECOND)).unwrap();
    pool.disable(&a).unwrap();
    pool.enable(&a).unwrap();
    let _draining = pool.drain(&a).unwrap();
    let mut seen = Vec::new();
    while let Ok(Some(event)) = timeout(SECOND, subscription.next()).await {
        let event = serde_json::to_value(event.unwrap()).unwrap();
        seen.push(format!("{} {} {}", event["event"], event["key"], event["wait_ms"]).replace('"', ""));
    }
    assert_eq!(
        seen,
        [
            "reset a null",
            "reset null null",
            "quota_reset a null",
            "forced_cooldown a 60000",
            "forced_cooldown a 1000",
            "disabled a null",
            "enabled a null",
            "disabled a null",
            "drained a null",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_forced_cooldown_always_ends() {
    let (pool, slow) = (pool(&["a"]), model("slow"));
    pool.cool_down(&id("a"), Some(&slow), Duration::MAX).unwrap();
    let shown = shown(&pool, "a");
    assert_eq!((shown.state, shown.models[0].state), (KeyState::Available, KeyState::RateLimited));
    assert!(shown.models[0].until.is_some());
    assert!(pool.acquire(Some(&slow)).is_err() && pool.acquire(Some(&model("other"))).is_ok());
}
