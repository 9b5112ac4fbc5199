//! The state of a pool across restarts and between processes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::limits::Quota;
use tower_key_rotation::pool::{BuildError, KeyPoolBuilder, KeyState, Lease, PoolState};
use tower_key_rotation::{ApiKey, KeyPool, ModelId, Provider};

use support::{MARKER, secret};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn builder(labels: &[&str]) -> KeyPoolBuilder {
    let keys = labels.iter().map(|label| ApiKey::new(secret(label)).unwrap().id(*label));
    KeyPool::builder(Provider::openai()).keys(keys)
}

fn pool(labels: &[&str]) -> KeyPool {
    builder(labels).build().unwrap()
}

/// The state as it comes back from a file.
fn exported(pool: &KeyPool) -> PoolState {
    let json = serde_json::to_string_pretty(&pool.export()).unwrap();
    assert!(!json.contains(MARKER), "{json}");
    let state: PoolState = serde_json::from_str(&json).unwrap();
    assert_eq!(state, pool.export());
    state
}

fn restarted(pool: &KeyPool, labels: &[&str]) -> KeyPool {
    builder(labels).restore(exported(pool)).build().unwrap()
}

fn fail(pool: &KeyPool, reason: Reason, scope: Scope, model: Option<&ModelId>, wait: Option<Duration>) {
    let fault = Fault::new(reason, scope);
    let fault = wait.into_iter().fold(fault, Fault::with_retry_after);
    drop(pool.acquire(model).unwrap().fail(&fault, model));
}

fn state(pool: &KeyPool, key: usize) -> KeyState {
    pool.snapshot().keys[key].state
}

fn left(pool: &KeyPool, key: usize) -> u64 {
    pool.snapshot().keys[key].limits[0].remaining
}

// === restarts ===

#[tokio::test(start_paused = true)]
async fn a_cooldown_survives_a_restart() {
    for reason in [Reason::RateLimited, Reason::QuotaExceeded, Reason::Forbidden] {
        let before = pool(&["a", "b"]);
        fail(&before, reason, Scope::Key, None, Some(Duration::from_secs(500)));
        tokio::time::advance(Duration::from_secs(100)).await;
        let after = restarted(&before, &["b", "a"]);
        let (one, other) = (&before.snapshot().keys[0], &after.snapshot().keys[1]);
        assert_eq!((one.state, one.until, one.since), (other.state, other.until, other.since), "{reason}");
        assert_eq!(after.usable(None), 1);
        tokio::time::advance(Duration::from_secs(399)).await;
        assert_eq!(after.usable(None), 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(after.usable(None), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_use_after_a_cooldown_is_a_probe_after_a_restart_too() {
    let before = pool(&["a"]);
    fail(&before, Reason::RateLimited, Scope::Key, None, Some(Duration::from_secs(60)));
    let state = exported(&before);
    tokio::time::advance(Duration::from_secs(90)).await;
    let after = builder(&["a"]).restore(state).build().unwrap();
    let _probe = after.acquire(()).unwrap();
    assert!(after.acquire(()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_for_one_model_survives_for_that_model() {
    let (before, model) = (pool(&["a"]), ModelId::from("m/with \"odd\" name"));
    fail(&before, Reason::RateLimited, Scope::KeyModel, Some(&model), Some(HOUR));
    let after = restarted(&before, &["a"]);
    assert_eq!((after.usable(Some(&model)), after.usable(None)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_declared_account_stays_out_as_a_whole() {
    let keys = || ["a", "b"].map(|label| ApiKey::new(secret(label)).unwrap().id(label).account("org: 1/x"));
    let before = KeyPool::builder(Provider::openai()).keys(keys()).build().unwrap();
    fail(&before, Reason::QuotaExceeded, Scope::Account, None, Some(HOUR));
    let after = KeyPool::builder(Provider::openai()).keys(keys()).restore(exported(&before)).build().unwrap();
    assert_eq!(after.usable(None), 0);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_key_stays_out_until_its_secret_is_replaced() {
    let before = pool(&["a", "b"]);
    fail(&before, Reason::InvalidKey, Scope::Key, None, None);
    let state_after = exported(&before);
    tokio::time::advance(30 * DAY).await;
    let after = builder(&["a", "b"]).restore(state_after.clone()).build().unwrap();
    assert_eq!(state(&after, 0), KeyState::Invalid);
    let renewed = ApiKey::new(secret("new")).unwrap().id("a");
    let after = KeyPool::builder(Provider::openai()).key(renewed).restore(state_after).build().unwrap();
    assert_eq!(state(&after, 0), KeyState::Available);
}

#[tokio::test(start_paused = true)]
async fn an_operators_switch_survives_and_the_last_one_counts() {
    let before = pool(&["a", "b"]);
    before.disable(&"a".into()).unwrap();
    let disabled = exported(&before);
    let after = restarted(&before, &["a", "b"]);
    assert_eq!(state(&after, 0), KeyState::Disabled);
    assert_eq!(after.snapshot().keys[0].since, before.snapshot().keys[0].since);
    after.enable(&"a".into()).unwrap();
    before.merge(exported(&after)).unwrap();
    after.merge(disabled).unwrap();
    assert_eq!((state(&before, 0), state(&after, 0)), (KeyState::Available, KeyState::Available));
}

#[tokio::test(start_paused = true)]
async fn accounts_that_responses_showed_are_known_after_a_restart() {
    let before = pool(&["a", "b"]);
    let headers: HeaderMap =
        [("openai-organization".parse().unwrap(), "acme".parse().unwrap())].into_iter().collect();
    for _ in 0..2 {
        let mut lease = before.acquire(()).unwrap();
        lease.observe(StatusCode::OK, &headers, None);
        lease.succeed();
    }
    fail(&before, Reason::QuotaExceeded, Scope::Account, None, Some(HOUR));
    // The order of the keys, and so the account in which they live, is another one.
    let after = restarted(&before, &["b", "a"]);
    assert_eq!(after.usable(None), 0);
    let keys = after.snapshot().keys;
    assert_eq!(keys[0].account_number, keys[1].account_number);
}

#[tokio::test(start_paused = true)]
async fn limits_that_responses_reported_are_known_after_a_restart() {
    let (before, model) = (pool(&["a"]), ModelId::from("m"));
    let headers = [
        ("x-ratelimit-limit-requests", "100"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "50s"),
    ];
    let headers: HeaderMap =
        headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let mut lease = before.acquire(&model).unwrap();
    lease.observe(StatusCode::OK, &headers, Some(&model));
    lease.succeed();
    let after = restarted(&before, &["a"]);
    assert_eq!((before.usable(Some(&model)), after.usable(Some(&model))), (0, 0));
    tokio::time::advance(Duration::from_secs(51)).await;
    assert_eq!(after.usable(Some(&model)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_added_later_has_the_state_that_is_known_of_it() {
    let before = pool(&["a", "b"]);
    fail(&before, Reason::InvalidKey, Scope::Key, None, None);
    fail(&before, Reason::QuotaExceeded, Scope::Key, None, Some(HOUR));
    let labels = |labels: &[&'static str]| -> Vec<_> {
        labels.iter().map(|label| ApiKey::new(secret(label)).unwrap().id(*label)).collect()
    };
    let after = restarted(&before, &["c", "d"]);
    drop(after.reload(labels(&["d", "a", "b"])).unwrap());
    let state_after = exported(&after);
    assert_eq!((state(&after, 1), state(&after, 2)), (KeyState::Invalid, KeyState::QuotaExceeded));
    before.merge(state_after).unwrap();
    assert_eq!((state(&before, 0), state(&before, 1)), (KeyState::Invalid, KeyState::QuotaExceeded));
    // It leaves and comes back.
    drop(after.reload(labels(&["c"])).unwrap());
    drop(after.reload(labels(&["b", "c"])).unwrap());
    after.export();
    assert_eq!(state(&after, 0), KeyState::QuotaExceeded);
}

// === counts ===

#[tokio::test(start_paused = true)]
async fn the_counts_of_several_processes_are_added_and_never_doubled() {
    for quota in [Quota::requests(25).per_day(), Quota::requests(25).per_day().aligned()] {
        let made = || builder(&["a"]).quota(quota.clone()).build().unwrap();
        let (one, two) = (made(), made());
        (0..10).for_each(|_| one.acquire(()).unwrap().succeed());
        (0..5).for_each(|_| two.acquire(()).unwrap().succeed());
        for _ in 0..3 {
            one.merge(exported(&two)).unwrap();
            two.merge(exported(&one)).unwrap();
            two.merge(exported(&two)).unwrap();
        }
        assert_eq!((left(&one, 0), left(&two, 0)), (10, 10));
        one.acquire(()).unwrap().succeed();
        two.merge(exported(&one)).unwrap();
        assert_eq!((left(&one, 0), left(&two, 0)), (9, 9));
        // Both stop, and two others start.
        let mut file = exported(&one);
        file.merge(exported(&two)).unwrap();
        let again = builder(&["a"]).quota(quota.clone()).restore(file.clone()).build().unwrap();
        assert_eq!(left(&again, 0), 9);
        (0..9).for_each(|_| again.acquire(()).unwrap().succeed());
        assert!(again.acquire(()).is_err());
        again.merge(file).unwrap();
        two.merge(exported(&again)).unwrap();
        assert!(again.acquire(()).is_err() && two.acquire(()).is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_ends_with_its_window() {
    let made = |state: Option<PoolState>| {
        let builder = builder(&["a"]).quota(Quota::requests(5).per_day());
        state.into_iter().fold(builder, KeyPoolBuilder::restore).build().unwrap()
    };
    let before = made(None);
    (0..5).for_each(|_| before.acquire(()).unwrap().succeed());
    let file = exported(&before);
    assert!(made(Some(file.clone())).acquire(()).is_err());
    tokio::time::advance(DAY).await;
    assert_eq!(left(&made(Some(file)), 0), 5);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_counts_what_others_take() {
    let made = || builder(&["a"]).quota(Quota::requests(60).per_minute()).build().unwrap();
    let (one, two) = (made(), made());
    (0..20).for_each(|_| one.acquire(()).unwrap().succeed());
    two.merge(exported(&one)).unwrap();
    assert_eq!(left(&two, 0), 40);
    (0..10).for_each(|_| two.acquire(()).unwrap().succeed());
    (0..5).for_each(|_| one.acquire(()).unwrap().succeed());
    for _ in 0..3 {
        two.merge(exported(&one)).unwrap();
    }
    assert_eq!(left(&two, 0), 25);
    tokio::time::advance(Duration::from_secs(35)).await;
    assert_eq!(left(&two, 0), 60);
    two.merge(exported(&one)).unwrap();
    assert_eq!(left(&two, 0), 60);
}

#[tokio::test(start_paused = true)]
async fn counts_for_a_model_are_shared_in_any_case_of_its_name() {
    let made = || builder(&["a"]).quota(Quota::requests(3).per_day().for_models("pro*")).build().unwrap();
    let (one, two) = (made(), made());
    (0..2).for_each(|_| one.acquire(&ModelId::from("Pro")).unwrap().succeed());
    two.merge(exported(&one)).unwrap();
    two.acquire(&ModelId::from("pro")).unwrap().succeed();
    assert!(two.acquire(&ModelId::from("PRO")).is_err());
    assert!(two.acquire(&ModelId::from("pro-2")).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_counts_reaches_every_process() {
    let made = || builder(&["a"]).quota(Quota::requests(3).per_day()).build().unwrap();
    let (one, two) = (made(), made());
    (0..3).for_each(|_| one.acquire(()).unwrap().succeed());
    let old = exported(&one);
    two.merge(old.clone()).unwrap();
    assert!(two.acquire(()).is_err());
    tokio::time::advance(Duration::from_secs(1)).await;
    two.reset_quota(&"a".into(), None).unwrap();
    two.acquire(()).unwrap().succeed();
    two.merge(old).unwrap();
    one.merge(exported(&two)).unwrap();
    assert_eq!((left(&one, 0), left(&two, 0)), (2, 2));
}

// === resets ===

#[tokio::test(start_paused = true)]
async fn a_reset_wins_over_older_cooldowns_even_unknown_ones() {
    for scope in [Scope::Key, Scope::Account] {
        let (one, two) = (pool(&["a"]), pool(&["a"]));
        fail(&one, Reason::QuotaExceeded, scope, None, Some(HOUR));
        let old = exported(&one);
        tokio::time::advance(Duration::from_secs(1)).await;
        two.reset(&"a".into()).unwrap();
        two.merge(old.clone()).unwrap();
        assert_eq!(two.usable(None), 1);
        one.merge(exported(&two)).unwrap();
        assert_eq!(one.usable(None), 1);
        one.merge(old).unwrap();
        assert_eq!(one.usable(None), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_after_a_reset_stays_and_spreads() {
    let (one, two) = (pool(&["a"]), pool(&["a"]));
    one.reset(&"a".into()).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    // This process has not heard of the reset.
    fail(&two, Reason::QuotaExceeded, Scope::Key, None, Some(HOUR));
    let unaware = exported(&two);
    two.merge(exported(&one)).unwrap();
    assert_eq!(two.usable(None), 0);
    one.merge(unaware).unwrap();
    one.merge(exported(&two)).unwrap();
    assert_eq!(one.usable(None), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_a_probe_proves_valid_is_so_everywhere() {
    let (one, two) = (pool(&["a"]), pool(&["a"]));
    fail(&one, Reason::InvalidKey, Scope::Key, None, None);
    two.merge(exported(&one)).unwrap();
    assert_eq!((state(&one, 0), state(&two, 0)), (KeyState::Invalid, KeyState::Invalid));
    tokio::time::advance(Duration::from_secs(61)).await;
    one.acquire(()).unwrap().succeed();
    two.merge(exported(&one)).unwrap();
    assert_eq!((state(&one, 0), state(&two, 0)), (KeyState::Available, KeyState::Available));
}

#[tokio::test(start_paused = true)]
async fn an_undone_cooldown_is_undone_everywhere() {
    let (one, two) = (pool(&["a"]), pool(&["a"]));
    let limited = Fault::new(Reason::QuotaExceeded, Scope::Key).with_retry_after(HOUR);
    let undo = one.acquire(()).unwrap().fail(&limited, None);
    two.merge(exported(&one)).unwrap();
    assert_eq!(two.usable(None), 0);
    tokio::time::advance(Duration::from_millis(5)).await;
    undo.unwrap().undo();
    two.merge(exported(&one)).unwrap();
    assert_eq!((one.usable(None), two.usable(None)), (1, 1));
}

// === what is not ours ===

#[tokio::test(start_paused = true)]
async fn keys_that_are_gone_are_kept_for_a_week() {
    let old = pool(&["a", "gone"]);
    fail(&old, Reason::InvalidKey, Scope::Key, None, None);
    fail(&old, Reason::InvalidKey, Scope::Key, None, None);
    let present = restarted(&old, &["a"]);
    let both = exported(&present).len();
    tokio::time::advance(6 * DAY).await;
    present.export();
    let back = restarted(&present, &["a", "gone"]);
    assert_eq!(state(&back, 1), KeyState::Invalid);
    tokio::time::advance(2 * DAY).await;
    assert!(exported(&present).len() < both);
    let back = restarted(&present, &["a", "gone"]);
    assert_eq!((state(&back, 0), state(&back, 1)), (KeyState::Invalid, KeyState::Available));
}

#[tokio::test(start_paused = true)]
async fn a_state_of_another_provider_is_refused() {
    let other = KeyPool::builder(Provider::gemini()).key(ApiKey::new("AIza-1").unwrap()).build().unwrap();
    assert!(pool(&["a"]).merge(other.export()).is_err());
    assert!(pool(&["a"]).export().merge(other.export()).is_err());
    let error = builder(&["a"]).restore(other.export()).build().unwrap_err();
    assert!(matches!(error, BuildError::State(_)), "{error}");
    assert!(error.to_string().contains("gemini") && error.to_string().contains("openai"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_a_later_version_writes_is_ignored_or_refused() {
    let before = pool(&["a"]);
    fail(&before, Reason::QuotaExceeded, Scope::Key, None, Some(HOUR));
    let mut json = serde_json::to_value(before.export()).unwrap();
    json["records"].as_array_mut().unwrap().push(serde_json::json!({"kind": "mood", "good": true}));
    json["more"] = true.into();
    json["records"][0]["more"] = true.into();
    let state: PoolState = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(builder(&["a"]).restore(state).build().unwrap().usable(None), 0);
    json["version"] = 2.into();
    let error = serde_json::from_value::<PoolState>(json).unwrap_err().to_string();
    assert!(error.contains("version 2") && error.contains("version 1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn garbled_numbers_hold_no_key_out_for_ever() {
    let before = pool(&["a"]);
    fail(&before, Reason::RateLimited, Scope::Key, None, Some(HOUR));
    let json = serde_json::to_value(before.export()).unwrap();
    for (member, value) in [
        ("until", u64::MAX.into()),
        ("since", u64::MAX.into()),
        ("generation", u64::MAX.into()),
        ("strikes", u64::MAX.into()),
        ("cause", "unheard_of".into()),
        ("cause", serde_json::Value::Null),
    ] {
        let mut json = json.clone();
        for record in json["records"].as_array_mut().unwrap() {
            record[member] = serde_json::Value::clone(&value);
        }
        let state: PoolState = serde_json::from_value(json).unwrap();
        let after = builder(&["a"]).restore(state).build().unwrap();
        after.export();
        assert_ne!(self::state(&after, 0), KeyState::Invalid, "{member}");
        after.reset_all();
        assert_eq!(after.usable(None), 1, "{member}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_from_the_future_holds_no_key_longer() {
    let before = pool(&["a"]);
    fail(&before, Reason::RateLimited, Scope::Key, None, Some(Duration::from_secs(300)));
    let mut json = serde_json::to_value(before.export()).unwrap();
    // The wall clock is set back by a day after the export.
    let day = 24 * 60 * 60 * 1_000;
    json["at"] = (json["at"].as_u64().unwrap() + day).into();
    for record in json["records"].as_array_mut().unwrap().iter_mut().filter(|it| it["until"] != 0) {
        if let Some(until) = record["until"].as_u64() {
            record["until"] = (until + day).into();
        }
    }
    let after = builder(&["a"]).restore(serde_json::from_value(json).unwrap()).build().unwrap();
    assert_eq!(after.usable(None), 0);
    tokio::time::advance(Duration::from_secs(301)).await;
    assert_eq!(after.usable(None), 1);
}

// === the laws of merging ===

#[derive(Clone, Debug)]
enum Action {
    Fail { reason: Reason, model: bool, seconds: u64 },
    Serve,
    Reset(usize),
    ResetQuota(usize),
    Switch(usize, bool),
    Force { key: usize, model: bool, seconds: u64 },
    Sleep(u64),
    Merge(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let reason = prop_oneof![
        Just(Reason::RateLimited),
        Just(Reason::QuotaExceeded),
        Just(Reason::InvalidKey),
        Just(Reason::Forbidden),
    ];
    prop_oneof![
        (reason, any::<bool>(), 1..5_000_u64).prop_map(|(reason, model, seconds)| Action::Fail {
            reason,
            model,
            seconds
        }),
        Just(Action::Serve),
        (0..3_usize).prop_map(Action::Reset),
        (0..3_usize).prop_map(Action::ResetQuota),
        (0..3_usize, any::<bool>()).prop_map(|(key, disabled)| Action::Switch(key, disabled)),
        (0..3_usize, any::<bool>(), 0..5_000_u64).prop_map(|(key, model, seconds)| Action::Force {
            key,
            model,
            seconds
        }),
        (1..4_000_000_u64).prop_map(Action::Sleep),
        (0..100_usize).prop_map(Action::Merge),
    ]
}

const KEYS: [&str; 3] = ["a", "b", "c"];

fn shared_pool() -> KeyPool {
    builder(&KEYS)
        .quota(Quota::requests(40).per_day())
        .quota(Quota::requests(30).per_minute())
        .quota(Quota::requests(9).per_day().for_models("m"))
        .build()
        .unwrap()
}

/// Lets three pools act at random. Returns them, and every state that one of them exported on the way.
async fn acted(actions: &[(usize, Action)]) -> (Vec<KeyPool>, Vec<PoolState>) {
    let pools: Vec<_> = (0..3).map(|_| shared_pool()).collect();
    let (model, mut states) = (ModelId::from("m"), vec![]);
    for (pool, action) in actions {
        let pool = &pools[*pool];
        match action {
            Action::Fail { reason, model: with_model, seconds } => {
                let model = with_model.then_some(&model);
                let scope = if *with_model { Scope::KeyModel } else { Scope::Key };
                let fault = Fault::new(*reason, scope).with_retry_after(Duration::from_secs(*seconds));
                if let Ok(lease) = pool.acquire(model) {
                    drop(lease.fail(&fault, model));
                }
            }
            Action::Serve => pool.acquire(&model).into_iter().for_each(Lease::succeed),
            Action::Reset(key) => pool.reset(&KEYS[*key].into()).unwrap(),
            Action::ResetQuota(key) => pool.reset_quota(&KEYS[*key].into(), None).unwrap(),
            Action::Switch(key, true) => pool.disable(&KEYS[*key].into()).unwrap(),
            Action::Switch(key, false) => pool.enable(&KEYS[*key].into()).unwrap(),
            Action::Force { key, model: with_model, seconds } => {
                let (model, wait) = (with_model.then_some(&model), Duration::from_secs(*seconds));
                pool.cool_down(&KEYS[*key].into(), model, wait).unwrap();
            }
            Action::Sleep(ms) => tokio::time::advance(Duration::from_millis(*ms)).await,
            Action::Merge(number) if !states.is_empty() => {
                pool.merge(PoolState::clone(&states[number % states.len()])).unwrap();
            }
            Action::Merge(_) => {}
        }
        states.push(pool.export());
    }
    (pools, states)
}

fn merged<'a>(states: impl IntoIterator<Item = &'a PoolState>) -> PoolState {
    states.into_iter().fold(PoolState::default(), |mut all, state| {
        all.merge(state.clone()).unwrap();
        all
    })
}

/// The records without counts that only their own process keeps: those of buckets, and those whose window is over.
fn lasting(state: &PoolState) -> Vec<serde_json::Value> {
    let mut json = serde_json::to_value(state).unwrap();
    let at = json["at"].as_u64().unwrap();
    let records = json["records"].as_array_mut().unwrap();
    let is_running = |record: &serde_json::Value| record["ends"].as_u64().is_some_and(|ends| ends > at);
    records.retain(|record| record["kind"] != "count" || record["resets"] == true && is_running(record));
    std::mem::take(records)
}

fn seen(pool: &KeyPool) -> Vec<(KeyState, bool, Vec<u64>)> {
    let snapshot = pool.snapshot();
    let windows = |key: &tower_key_rotation::pool::KeySnapshot| {
        let days = key.limits.iter().filter(|limit| limit.window.is_some_and(|it| it.length() == DAY));
        days.map(|limit| limit.remaining).collect()
    };
    snapshot.keys.iter().map(|key| (key.state, key.forced, windows(key))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn states_merge_in_any_order_and_repeatedly(
        actions in prop::collection::vec((0..3_usize, action()), 1..40),
        order in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let (_, states) = acted(&actions).await;
            let mut shuffled: Vec<_> = states.iter().chain(&states).collect();
            let mut rng = fastrand_like(order);
            for index in (1..shuffled.len()).rev() {
                shuffled.swap(index, rng(index + 1));
            }
            let all = merged(&states);
            prop_assert_eq!(&merged(shuffled), &all);
            // Associative: any two halves.
            let (one, other) = states.split_at(rng(states.len() + 1));
            prop_assert_eq!(&merged([&merged(other), &merged(one)]), &all);
            prop_assert_eq!(&merged([&all, &all]), &all);
            Ok(())
        })?;
    }

    #[test]
    fn pools_agree_once_every_news_has_come_whatever_was_lost(
        actions in prop::collection::vec((0..3_usize, action()), 1..40),
        order in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let (pools, _) = acted(&actions).await;
            let mut rng = fastrand_like(order);
            // Some are lost, some come twice; in the end each pool hears of each other one.
            for _ in 0..rng(12) {
                let (from, to) = (rng(3), rng(3));
                pools[to].merge(pools[from].export()).unwrap();
            }
            for _ in 0..3 {
                for (from, to) in [(0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)] {
                    pools[to].merge(pools[from].export()).unwrap();
                }
            }
            let states: Vec<_> = pools.iter().map(KeyPool::export).collect();
            prop_assert_eq!(lasting(&states[0]), lasting(&states[1]));
            prop_assert_eq!(lasting(&states[1]), lasting(&states[2]));
            prop_assert_eq!(seen(&pools[0]), seen(&pools[1]));
            prop_assert_eq!(seen(&pools[1]), seen(&pools[2]));
            let late = builder(&KEYS)
                .quota(Quota::requests(40).per_day())
                .quota(Quota::requests(30).per_minute())
                .quota(Quota::requests(9).per_day().for_models("m"))
                .restore(states[0].clone())
                .build()
                .unwrap();
            prop_assert_eq!(seen(&late), seen(&pools[0]));
            Ok(())
        })?;
    }
}

/// Numbers below a bound, from a seed.
fn fastrand_like(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below.max(1)
    }
}
