//! Keys that change at run time.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

#[path = "support/pool.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use http::{HeaderMap, StatusCode};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, advance, timeout};
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::event::{Event, EventKind, OperatorEvent, Subscription};
use tower_key_rotation::key::{KeyId, Secret};
use tower_key_rotation::limits::Quota;
use tower_key_rotation::pool::{
    AcquireRequest, BuildError, Exhausted, KeyPool, KeyState, Lease, ReloadError, Selection, Session,
};
use tower_key_rotation::{ApiKey, ModelId};

use self::support::*;

/// Returns a key with this id, and a secret of its own for each version.
fn version(name: &str, version: u32) -> ApiKey {
    ApiKey::new(secret(name, version)).unwrap().id(name)
}

fn secret(name: &str, version: u32) -> String {
    format!("sk-{name}-v{version}")
}

fn ids(pool: &KeyPool) -> Vec<String> {
    pool.snapshot().keys.iter().map(|key| key.id.to_string()).collect()
}

/// Returns the secret that a lease sends.
fn sent(lease: &Lease) -> String {
    let mut headers = HeaderMap::new();
    let mut uri = "https://api.openai.com/v1/chat/completions".parse().unwrap();
    lease.apply_key(&mut uri, &mut headers).unwrap();
    headers["authorization"].to_str().unwrap().trim_start_matches("Bearer ").to_owned()
}

fn wait_for(pool: &KeyPool) -> JoinHandle<Result<Lease, Exhausted>> {
    let (pool, deadline) = (pool.clone(), Instant::now() + HOUR);
    tokio::spawn(async move { pool.acquire_by(None, deadline).await })
}

async fn events(subscription: &mut Subscription) -> Vec<Event> {
    let mut events = Vec::new();
    while let Ok(Some(event)) = timeout(Duration::from_millis(1), subscription.next()).await {
        events.push(event.unwrap());
    }
    events
}

// === one change ===

#[tokio::test(start_paused = true)]
async fn an_added_key_is_used() {
    let pool = pool(&["a"]);
    let clone = pool.clone();
    pool.add(key("b")).unwrap();
    let used: BTreeSet<_> = (0..4).map(|_| lease(&clone).key_id().to_string()).collect();
    assert_eq!(used.len(), 2);
    assert_eq!(ids(&clone), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn an_added_key_wakes_a_waiter() {
    let pool = pool(&["a"]);
    let _penalty = lease(&pool).fail(&limit(20 * MINUTE), None);
    let (waiter, other) = (wait_for(&pool), wait_for(&pool));
    yield_now().await;
    pool.add(key("b")).unwrap();
    for waiter in [waiter, other] {
        let lease = timeout(SECOND, waiter).await.expect("woken at once").unwrap().unwrap();
        assert_eq!(lease.key_id().as_str(), "b");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replaced_secret_wakes_a_waiter() {
    let pool = pool(&["a"]);
    let _penalty = lease(&pool).fail(&limit(20 * MINUTE), None);
    let waiter = wait_for(&pool);
    yield_now().await;
    let _draining = pool.replace(&id("a"), Secret::new("sk-other").unwrap()).unwrap();
    assert_eq!(sent(&timeout(SECOND, waiter).await.unwrap().unwrap().unwrap()), "sk-other");
}

#[tokio::test(start_paused = true)]
async fn an_added_key_is_not_held_back_with_keys_that_share_a_limit() {
    let pool = pool(&["a", "b", "c", "d"]);
    let leases: Vec<_> = (0..3).map(|_| lease(&pool)).collect();
    for lease in leases {
        lease.fail(&Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(MINUTE), None);
    }
    assert!(pool.acquire(None).is_err(), "the fourth key is held back");
    pool.add(key("e")).unwrap();
    assert_eq!(next(&pool), "e");
}

#[tokio::test(start_paused = true)]
async fn a_removed_key_takes_no_request_and_finishes_its_own() {
    let pool = pool(&["a", "b"]);
    let running = lease_of(&pool, "a", None);
    let draining = pool.remove(&id("a")).unwrap();
    assert!((0..9).all(|_| next(&pool) == "b"));
    assert_eq!((ids(&pool), draining.in_flight()), (vec!["b".to_owned()], 1));
    let drained = tokio::spawn(async move { draining.drained().await });
    advance(HOUR).await;
    assert!(!drained.is_finished());
    running.succeed();
    timeout(SECOND, drained).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_without_requests_is_drained_at_once() {
    let pool = pool(&["a", "b"]);
    timeout(SECOND, pool.remove(&id("a")).unwrap().drained()).await.unwrap();
    timeout(SECOND, pool.drain(&id("b")).unwrap().drained()).await.unwrap();
    assert_eq!(shown(&pool, "b").state, KeyState::Disabled);
    pool.enable(&id("b")).unwrap();
    assert_eq!(next(&pool), "b");
}

#[tokio::test(start_paused = true)]
async fn a_drained_key_stays_and_can_be_enabled() {
    let pool = pool(&["a", "b"]);
    let mut subscription = pool.subscribe();
    let running = lease_of(&pool, "a", None);
    let draining = pool.drain(&id("a")).unwrap();
    assert!((0..4).all(|_| next(&pool) == "b"));
    pool.enable(&id("a")).unwrap();
    let _again = lease_of(&pool, "a", None);
    running.succeed();
    assert_eq!(draining.in_flight(), 1);
    let kinds: Vec<_> = events(&mut subscription).await.into_iter().map(|event| event.kind).collect();
    assert!(
        matches!(
            &kinds[..],
            [
                EventKind::Operator(OperatorEvent::Disabled { .. }),
                EventKind::Operator(OperatorEvent::Enabled { .. })
            ]
        ),
        "{kinds:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_replaced_secret_starts_clean_under_its_id() {
    let pool = builder().key(key("a").account("org")).key(key("b")).build().unwrap();
    for scope in [Scope::Key, Scope::Account, Scope::KeyModel, Scope::AccountModel] {
        let chat = model("chat");
        lease_of(&pool, "a", Some(&chat)).fail(&Fault::new(Reason::InvalidKey, scope), Some(&chat));
        assert!((0..4).all(|_| pool.acquire(&chat).unwrap().key_id().as_str() == "b"), "{scope}");
        let secret = format!("sk-after-{}", scope.as_str());
        let _draining = pool.replace(&id("a"), Secret::new(&*secret).unwrap()).unwrap();
        let clean = lease_of(&pool, "a", Some(&chat));
        assert_eq!((sent(&clean), clean.is_probe()), (secret, false));
        let shown = shown(&pool, "a");
        assert_eq!((shown.state, shown.faults, shown.calls), (KeyState::Available, 0, 1));
        assert!(shown.models.is_empty() && shown.account.unwrap().as_str() == "org");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_result_of_an_old_secret_spares_the_new_one() {
    let pool = pool(&["a"]);
    let chat = model("chat");
    for scope in [Scope::Key, Scope::Account, Scope::KeyModel, Scope::AccountModel] {
        let late = pool.acquire(&chat).unwrap();
        let secret = format!("sk-after-{}", scope.as_str());
        let _draining = pool.replace(&id("a"), Secret::new(&*secret).unwrap()).unwrap();
        late.fail(&Fault::new(Reason::InvalidKey, scope), Some(&chat));
        assert_eq!(sent(&pool.acquire(&chat).expect(&secret)), secret);
        assert_eq!(shown(&pool, "a").faults, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_result_of_a_removed_key_concerns_the_account_that_stays() {
    let keys = ["a", "b"].map(|name| key(name).account("org"));
    let pool = builder().keys(keys).key(key("c")).build().unwrap();
    let late = lease_of(&pool, "a", None);
    let _draining = pool.remove(&id("a")).unwrap();
    late.fail(&Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(MINUTE), None);
    assert_eq!(shown(&pool, "b").state, KeyState::RateLimited);
    assert!((0..4).all(|_| next(&pool) == "c"));
}

// === keys that stay ===

#[tokio::test(start_paused = true)]
async fn a_key_that_stays_keeps_everything() {
    let quota = || Quota::requests(9).per_day();
    let list = |more: &[&str]| {
        let own = ApiKey::quota(version("a", 0), quota());
        [own, version("b", 0)].into_iter().chain(more.iter().map(|name| key(name))).collect::<Vec<_>>()
    };
    let pool = builder().keys(list(&["x"])).build().unwrap();
    let chat = model("chat");
    let mut learned = lease_of(&pool, "a", Some(&chat));
    let mut headers = HeaderMap::new();
    headers.insert("x-ratelimit-limit-requests", "100".parse().unwrap());
    headers.insert("x-ratelimit-remaining-requests", "50".parse().unwrap());
    headers.insert("x-ratelimit-reset-requests", "30s".parse().unwrap());
    learned.observe(StatusCode::OK, &headers, Some(&chat));
    learned.succeed();
    lease_of(&pool, "b", Some(&chat)).fail(&limit(MINUTE), None);
    let running = lease_of(&pool, "a", Some(&chat));
    let before = shown(&pool, "a");
    let cold = shown(&pool, "b");

    let changes = pool.reload(list(&["y", "z"])).unwrap();
    assert_eq!((changes.unchanged, changes.added.len(), changes.removed.len()), (2, 2, 1));
    assert_eq!((shown(&pool, "a"), shown(&pool, "b")), (before.clone(), cold));
    assert!(!before.model_limits.is_empty() && before.limits.len() == 1);
    assert_eq!((before.in_flight, before.limits[0].remaining), (1, 7));
    running.succeed();
    assert_eq!((shown(&pool, "a").in_flight, shown(&pool, "a").successes), (0, 2));
    assert!(pool.reload(list(&["y", "z"])).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn settings_change_without_the_state() {
    let pool = builder().keys([version("a", 0), version("b", 0)]).build().unwrap();
    lease_of(&pool, "a", None).succeed();
    lease_of(&pool, "b", None).fail(&limit(MINUTE), None);
    let running = lease_of(&pool, "a", None);
    let renamed = ApiKey::new(secret("b", 0)).unwrap().id("renamed");
    let own = version("a", 0).backup().quota(Quota::requests(2).per_day());
    let changes = pool.reload([renamed, own]).unwrap();
    assert_eq!((changes.changed.len(), changes.draining.in_flight()), (2, 0));
    let (a, b) = (shown(&pool, "a"), shown(&pool, "renamed"));
    assert_eq!((a.successes, a.in_flight, a.tier.as_str()), (1, 1, "backup"));
    assert_eq!((b.state, b.faults), (KeyState::RateLimited, 1));
    assert_eq!(ids(&pool), ["renamed", "a"]);
    running.succeed();
    (0..2).for_each(|_| pool.acquire(None).map(|lease| (sent(&lease), lease.succeed()).1).unwrap());
    assert!(pool.acquire(None).is_err(), "the new quota counts from its declaration");
    assert_eq!(shown(&pool, "a").successes, 4);
}

#[tokio::test(start_paused = true)]
async fn a_key_with_another_account_starts_clean() {
    let pool = builder().keys([version("a", 0), version("b", 0).account("one")]).build().unwrap();
    lease_of(&pool, "a", None).fail(&invalid(), None);
    let changes = pool.reload([version("a", 0).account("one"), version("b", 0).account("one")]).unwrap();
    assert_eq!((changes.replaced.len(), changes.unchanged), (1, 1));
    let numbers: BTreeSet<_> = pool.snapshot().keys.iter().map(|key| key.account_number).collect();
    assert_eq!((shown(&pool, "a").state, numbers.len()), (KeyState::Available, 1));
}

#[tokio::test(start_paused = true)]
async fn a_new_key_shares_the_account_that_is_in_a_cooldown() {
    let pool = builder().keys([key("a").account("org"), key("b")]).build().unwrap();
    let limited = Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(MINUTE);
    lease_of(&pool, "a", None).fail(&limited, None);
    pool.add(key("c").account("org")).unwrap();
    assert_eq!(shown(&pool, "c").state, KeyState::RateLimited);
    assert!((0..4).all(|_| next(&pool) == "b"));
    pool.reset(&id("a")).unwrap();
    assert!((0..9).any(|_| next(&pool) == "c"));
}

#[tokio::test(start_paused = true)]
async fn a_new_key_has_the_quotas_of_its_pool() {
    let quota = || Quota::requests(2).per_day();
    let pool = builder().key(key("a")).quota(quota().for_models("chat*")).quota(quota().for_models("own"));
    let pool = pool.build().unwrap();
    let (chat, own, other) = (model("chat-1"), model("own"), model("other"));
    assert_eq!(served(&pool, &chat), ["sk-a", "sk-a"]);
    pool.add(key("b").quota(Quota::requests(1).per_day().for_models("other"))).unwrap();
    assert_eq!(served(&pool, &chat), ["sk-b", "sk-b"]);
    assert_eq!(served(&pool, &own).len(), 4);
    assert_eq!(served(&pool, &other).iter().filter(|secret| *secret == "sk-b").count(), 1);
    let _draining = pool.replace(&id("b"), Secret::new("sk-c").unwrap()).unwrap();
    assert_eq!(served(&pool, &chat), ["sk-c", "sk-c"]);
    assert_eq!(served(&pool, &own), ["sk-c", "sk-c"]);
}

/// Returns the secrets of the next requests for a model: up to nine.
fn served(pool: &KeyPool, model: &ModelId) -> Vec<String> {
    std::iter::from_fn(|| pool.acquire(model).ok()).map(|lease| sent(&lease)).take(9).collect()
}

#[tokio::test(start_paused = true)]
async fn learned_accounts_stay_and_grow() {
    let mut headers = HeaderMap::new();
    headers.insert("openai-organization", "org-1".parse().unwrap());
    let learn = |pool: &KeyPool, name: &str| {
        let mut lease = lease_of(pool, name, None);
        lease.observe(StatusCode::OK, &headers, None);
        lease.succeed();
    };
    let pool = pool(&["a", "b", "x"]);
    let late = lease_of(&pool, "b", None);
    ["a", "b"].into_iter().for_each(|name| learn(&pool, name));
    let number = |name: &str| shown(&pool, name).account_number;
    assert_eq!(number("a"), number("b"));
    // The account is the home of a key that leaves, and of a lease from before.
    pool.reload(["b", "x", "c"].map(key)).unwrap();
    learn(&pool, "c");
    assert!(number("b") == number("c") && number("b") != number("x"));
    late.fail(&Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(MINUTE), None);
    let state = |name: &str| shown(&pool, name).state;
    assert_eq!(
        [state("b"), state("c"), state("x")].map(KeyState::as_str),
        ["rate_limited", "rate_limited", "available"]
    );
    assert!((0..4).all(|_| next(&pool) == "x"));
}

#[tokio::test(start_paused = true)]
async fn sessions_of_keys_that_stay_keep_their_home() {
    let names: Vec<_> = (0..8).map(|key| format!("k{key}")).collect();
    let pool = builder().keys(names.iter().map(|name| key(name))).build().unwrap();
    let home = |pool: &KeyPool, session: usize| {
        let request = AcquireRequest::new().session(Session::new(session.to_string()));
        pool.acquire(request).unwrap().key_id().to_string()
    };
    let before: Vec<_> = (0..200).map(|session| home(&pool, session)).collect();
    pool.reload(names.iter().rev().filter(|name| *name != "k3").map(|name| key(name)).chain([key("new")]))
        .unwrap();
    let fresh = builder().keys(names.iter().filter(|name| *name != "k3").map(|name| key(name)));
    let fresh = fresh.key(key("new")).build().unwrap();
    for (session, before) in before.into_iter().enumerate() {
        let after = home(&pool, session);
        assert_eq!(after, home(&fresh, session), "every process agrees");
        assert!(after == before || after == "new" || before == "k3");
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_of_the_list_is_the_order_of_use() {
    let pool = builder().keys([key("b"), key("c")]).selection(Selection::InOrder).build().unwrap();
    let running = lease(&pool);
    pool.reload([key("a"), key("c"), key("b")]).unwrap();
    assert_eq!((next(&pool), ids(&pool)), ("a".to_owned(), vec!["a".into(), "c".into(), "b".into()]));
    fail(&pool, "a", &limit(MINUTE));
    assert_eq!(next(&pool), "c");
    drop(running);
    pool.reload([key("b"), key("new"), key("c")]).unwrap();
    fail(&pool, "b", &limit(MINUTE));
    assert_eq!(next(&pool), "new");
}

// === refusals ===

#[tokio::test(start_paused = true)]
async fn a_bad_list_changes_nothing() {
    let pool = pool(&["a", "b"]);
    let mut subscription = pool.subscribe();
    lease_of(&pool, "a", None).fail(&limit(MINUTE), None);
    let before = pool.snapshot();
    let other = |id: &str| ApiKey::new("sk-a").unwrap().id(id);
    let bad: [Vec<ApiKey>; 5] = [
        vec![],
        vec![key("a"), other("copy")],
        vec![key("a"), key("c").id("a")],
        vec![key("a"), key("c").id("sk-c")],
        vec![key("a"), key("c").account("new\nline")],
    ];
    for keys in bad {
        let error = pool.reload(keys).unwrap_err();
        assert!(matches!(error, ReloadError::Keys(_)), "{error:?}");
        assert!(!error.to_string().contains("sk-"), "{error}");
    }
    assert!(matches!(pool.add(other("copy")), Err(ReloadError::Keys(BuildError::DuplicateSecret { .. }))));
    assert!(matches!(pool.add(key("c").id("a")), Err(ReloadError::Keys(BuildError::DuplicateId(_)))));
    let secret = Secret::new("sk-b").unwrap();
    let taken = pool.replace(&id("a"), secret.clone()).unwrap_err();
    assert!(matches!(taken, ReloadError::Keys(BuildError::DuplicateSecret { .. })));
    assert!(matches!(pool.replace(&id("c"), secret), Err(ReloadError::UnknownKey(_))));
    assert!(matches!(pool.remove(&id("c")), Err(ReloadError::UnknownKey(_))));
    assert!(pool.drain(&id("c")).is_err());
    assert_eq!(pool.snapshot().keys, before.keys);
    let _draining = pool.remove(&id("b")).unwrap();
    let last = pool.remove(&id("a")).unwrap_err();
    assert_eq!(last, ReloadError::LastKey(id("a")));
    let kinds = events(&mut subscription).await.into_iter().map(|event| event.kind);
    assert_eq!(kinds.filter(|kind| !matches!(kind, EventKind::CooledDown { .. })).count(), 2);
}

// === events ===

#[tokio::test(start_paused = true)]
async fn each_change_has_an_event() {
    let pool = builder().keys(["a", "b", "c"].map(|name| version(name, 0))).build().unwrap();
    let mut subscription = pool.subscribe();
    let running = lease_of(&pool, "b", None);
    pool.reload([version("a", 0).backup(), version("b", 1), version("d", 0)]).unwrap();
    let seen: Vec<_> = events(&mut subscription).await.iter().map(named).collect();
    assert_eq!(seen, ["added d", "replaced b", "changed a", "removed c", "drained c"]);
    running.succeed();
    assert_eq!(events(&mut subscription).await.iter().map(named).collect::<Vec<_>>(), ["drained b"]);
    pool.add(key("e")).unwrap();
    let _draining = pool.replace(&id("e"), Secret::new("sk-e-2").unwrap()).unwrap();
    let _draining = pool.remove(&id("e")).unwrap();
    let seen: Vec<_> = events(&mut subscription).await.iter().map(named).collect();
    assert_eq!(seen, ["added e", "replaced e", "drained e", "removed e", "drained e"]);
}

/// Returns the kind of an event and its key.
fn named(event: &Event) -> String {
    let json = serde_json::to_value(event).unwrap();
    format!("{} {}", json["event"].as_str().unwrap(), json["key"].as_str().unwrap())
}

// === many changes ===

/// The state of one secret as the test counts it.
#[derive(Default)]
struct Expected {
    calls: u64,
    successes: u64,
    faults: u64,
    in_flight: u64,
}

#[tokio::test(start_paused = true)]
async fn random_changes_lose_and_mix_up_nothing() {
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let mut now = BTreeMap::from([("k0".to_owned(), 0)]);
        // Without the detector of shared limits, which would hold back keys that never failed.
        let pool = builder().key(version("k0", 0)).learn_accounts(false).build().unwrap();
        let mut counts: BTreeMap<String, Expected> = BTreeMap::new();
        let (mut running, mut versions) = (Vec::new(), 0);
        let chat = model("chat");
        for step in 0..300 {
            let name = format!("k{}", rng.u8(..12));
            match rng.u8(..8) {
                0 => {
                    versions += 1;
                    let added = pool.add(version(&name, versions)).is_ok();
                    assert_eq!(added, !now.contains_key(&name), "seed {seed}, step {step}");
                    now.entry(name).or_insert(versions);
                }
                1 => {
                    versions += 1;
                    let new = Secret::new(secret(&name, versions)).unwrap();
                    assert_eq!(pool.replace(&KeyId::from(&*name), new).is_ok(), now.contains_key(&name));
                    now.entry(name).and_modify(|version| *version = versions);
                }
                2 if now.len() > 1 => {
                    assert_eq!(pool.remove(&KeyId::from(&*name)).is_ok(), now.remove(&name).is_some());
                }
                3 | 4 if !running.is_empty() => {
                    let (lease, secret): (Lease, String) = running.swap_remove(rng.usize(..running.len()));
                    let expected = counts.get_mut(&secret).unwrap();
                    expected.in_flight -= 1;
                    if rng.bool() {
                        expected.successes += 1;
                        lease.succeed();
                    } else {
                        expected.faults += 1;
                        // An account of the key's own: nothing is shared with the others.
                        let scope = rng.choice([Scope::Key, Scope::Account, Scope::KeyModel]).unwrap();
                        let fault = Fault::new(Reason::RateLimited, scope).with_retry_after(20 * SECOND);
                        lease.fail(&fault, Some(&chat));
                    }
                }
                5 => advance(Duration::from_secs(rng.u64(..20))).await,
                _ => {
                    let Ok(lease) = pool.acquire(&chat) else { continue };
                    let secret = sent(&lease);
                    let name = lease.key_id().to_string();
                    assert_eq!(secret, self::secret(&name, now[&name]), "seed {seed}, step {step}");
                    let expected = counts.entry(secret.clone()).or_default();
                    (expected.calls, expected.in_flight) = (expected.calls + 1, expected.in_flight + 1);
                    running.push((lease, secret));
                }
            }
            check(&pool, &now, &counts, &format!("seed {seed}, step {step}"));
        }
    }
}

fn check(pool: &KeyPool, now: &BTreeMap<String, u32>, counts: &BTreeMap<String, Expected>, at: &str) {
    let keys = pool.snapshot().keys;
    assert_eq!(keys.len(), now.len(), "{at}");
    let none = Expected::default();
    for key in keys {
        let secret = secret(key.id.as_str(), now[key.id.as_str()]);
        let Expected { calls, successes, faults, in_flight } = counts.get(&secret).unwrap_or(&none);
        let seen = [key.calls, key.successes, key.faults, key.in_flight];
        assert_eq!(seen, [*calls, *successes, *faults, *in_flight], "{secret}, {at}");
        assert!(*faults > 0 || key.state == KeyState::Available || *in_flight > 0, "{secret}, {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_never_failed_is_usable_after_any_change() {
    for seed in 0..40 {
        let mut rng = Rng::with_seed(seed);
        let pool = builder().keys(["good", "bad"].map(key)).build().unwrap();
        for step in 0..100 {
            let bad = lease_of(&pool, "bad", None);
            let chat = model("chat");
            let fault = rng.choice([unhinted(), invalid(), limit(HOUR)]).unwrap();
            bad.fail(&fault, rng.bool().then_some(&chat));
            versioned(&pool, step);
            let good = shown(&pool, "good");
            assert_eq!((good.state, good.faults), (KeyState::Available, 0), "seed {seed}, step {step}");
            lease_of(&pool, "good", Some(&chat)).succeed();
            let largest = pool.snapshot().keys.iter().map(|key| key.account_number).max();
            assert!(largest <= Some(4), "numbers are used again: {largest:?}");
        }
    }
}

fn versioned(pool: &KeyPool, step: u32) {
    let _draining = pool.replace(&id("bad"), Secret::new(secret("bad", step + 1)).unwrap()).unwrap();
}
