//! Keys that share an undeclared account.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

#[path = "support/pool.rs"]
mod support;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::key::Tier;
use tower_key_rotation::pool::{KeyPool, KeyState, Lease};
use tower_key_rotation::provider::ModelId;
use tower_key_rotation::{KeyRotationLayer, Provider};

use self::support::*;

/// The headers of a response to a key of this organisation and project.
fn names(organisation: &str, project: &str) -> HeaderMap {
    let pairs = [("openai-organization", organisation), ("openai-project", project)];
    pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn of(organisation: &str) -> HeaderMap {
    names(organisation, "proj")
}

/// Observes a response with these headers for the key with this name.
fn answer(pool: &KeyPool, name: &str, headers: &HeaderMap) {
    let mut lease = lease_of(pool, name, None);
    lease.observe(StatusCode::OK, headers, None);
    lease.succeed();
}

fn account_limit() -> Fault {
    Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(MINUTE)
}

/// Returns the names of all usable keys. Each is leased once and dropped.
fn usable(pool: &KeyPool) -> Vec<String> {
    let keys = pool.snapshot().keys.len();
    let leases: Vec<Lease> = (0..keys).map_while(|_| pool.acquire(None).ok()).collect();
    let mut names: Vec<_> = leases.iter().map(|lease| lease.key_id().to_string()).collect();
    names.sort();
    names.dedup();
    names
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_named_account_share_limits() {
    let pool = pool(&["a", "b", "c"]);
    answer(&pool, "a", &of("acme"));
    answer(&pool, "b", &of("acme"));
    answer(&pool, "c", &of("other"));
    fail(&pool, "a", &account_limit());
    assert_eq!(usable(&pool), ["c"]);
    let (a, b, c) = (shown(&pool, "a"), shown(&pool, "b"), shown(&pool, "c"));
    assert_eq!((b.state, b.account_number), (KeyState::RateLimited, a.account_number));
    assert_ne!(c.account_number, a.account_number);
    assert!(b.account_learned && !c.account_learned);
    advance(MINUTE).await;
    assert_eq!(usable(&pool), ["a", "c"], "one probe for both");
}

#[tokio::test(start_paused = true)]
async fn two_projects_of_an_organisation_are_two_accounts() {
    let pool = pool(&["a", "b"]);
    answer(&pool, "a", &names("acme", "one"));
    answer(&pool, "b", &names("acme", "two"));
    fail(&pool, "a", &account_limit());
    assert_eq!(usable(&pool), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn an_organisation_alone_contradicts_no_project() {
    let pool = pool(&["a", "b"]);
    let mut half = of("acme");
    half.remove("openai-project");
    for headers in [of("acme"), half, HeaderMap::new()] {
        answer(&pool, "a", &headers);
        answer(&pool, "b", &headers);
    }
    fail(&pool, "a", &account_limit());
    assert_eq!(usable(&pool), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_first_refusal_cools_the_shown_account() {
    let pool = pool(&["a", "b"]);
    answer(&pool, "a", &of("acme"));
    let mut refused = lease_of(&pool, "b", None);
    refused.observe(StatusCode::OK, &of("acme"), None);
    refused.fail(&account_limit(), None);
    assert_eq!(wait(&pool), Some(MINUTE));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_cooldown_moves_to_the_account() {
    let pool = pool(&["a", "b"]);
    let of_model = Fault::new(Reason::RateLimited, Scope::AccountModel).with_retry_after(5 * MINUTE);
    lease_of(&pool, "b", None).fail(&of_model, Some(&model("m")));
    let mut late = lease_of(&pool, "b", None);
    fail(&pool, "b", &account_limit());
    answer(&pool, "a", &of("acme"));
    assert_eq!(usable(&pool), ["a"]);
    late.observe(StatusCode::OK, &of("acme"), None);
    late.succeed();
    assert_eq!(wait(&pool), Some(MINUTE));
    advance(MINUTE).await;
    lease(&pool).succeed();
    assert_eq!(usable(&pool), ["a", "b"]);
    assert_eq!(exhausted(&pool, Some(&model("m"))).retry_after(), Some(4 * MINUTE));
}

#[tokio::test(start_paused = true)]
async fn a_declared_account_is_never_overruled() {
    let keys = [key("a").account("one"), key("b").account("two"), key("c")];
    let pool = builder().keys(keys).build().unwrap();
    ["c", "a", "b"].into_iter().for_each(|name| answer(&pool, name, &of("acme")));
    fail(&pool, "a", &account_limit());
    assert_eq!(usable(&pool), ["b", "c"], "split with intent, so the third keeps to itself");
}

#[tokio::test(start_paused = true)]
async fn a_key_joins_the_declared_account_it_shows() {
    for order in [["a", "b", "c"], ["c", "b", "a"]] {
        let pool = builder().keys([key("a").account("org"), key("b"), key("c")]).build().unwrap();
        order.into_iter().for_each(|name| answer(&pool, name, &of("acme")));
        assert_eq!(shown(&pool, "c").account, shown(&pool, "a").account);
        fail(&pool, "c", &account_limit());
        assert_eq!(usable(&pool), [""; 0], "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_shows_another_account_later_has_moved() {
    for moved in ["a", "b", "c"] {
        let pool = pool(&["a", "b", "c"]);
        ["a", "b", "c"].into_iter().for_each(|name| answer(&pool, name, &of("acme")));
        answer(&pool, moved, &of("other"));
        let stayed: Vec<_> = ["a", "b", "c"].into_iter().filter(|name| *name != moved).collect();
        fail(&pool, stayed[1], &account_limit());
        assert_eq!(usable(&pool), [moved]);
        fail(&pool, moved, &account_limit());
        advance(MINUTE).await;
        let probed = usable(&pool);
        assert!(probed.len() == 2 && probed.iter().any(|name| name == moved), "{probed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_serves_many_accounts_has_none() {
    let pool = pool(&["a", "b"]);
    for _ in 0..10 {
        answer(&pool, "a", &of("acme"));
        answer(&pool, "a", &of("other"));
    }
    answer(&pool, "b", &of("acme"));
    answer(&pool, "a", &of("acme"));
    fail(&pool, "b", &account_limit());
    assert_eq!(usable(&pool), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn account_learning_can_be_disabled() {
    let pool = builder().keys([key("a"), key("b")]).learn_accounts(false).build().unwrap();
    ["a", "b"].into_iter().for_each(|name| answer(&pool, name, &of("acme")));
    fail(&pool, "a", &account_limit());
    assert_eq!(usable(&pool), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_named_account_costs_one_refusal() {
    let pool =
        KeyPool::builder(Provider::anthropic()).keys(("0123456789").chars().map(|n| key(&n.to_string())));
    let pool = pool.build().unwrap();
    let calls = Arc::new(Mutex::new(HashMap::<u16, usize>::new()));
    let counted = Arc::clone(&calls);
    let inner = service_fn(move |_: Request<ReplayBody>| {
        let mut calls = counted.lock().unwrap();
        let status = if calls.values().sum::<usize>() < 10 { 200 } else { 429 };
        *calls.entry(status).or_default() += 1;
        let answer = Response::builder().status(status).header("anthropic-organization-id", "acme");
        let answer = answer.header("retry-after", "60").body(Full::<Bytes>::default());
        async move { Ok::<_, Infallible>(answer.unwrap()) }
    });
    let service = KeyRotationLayer::new(pool).layer(inner);
    for _ in 0..20 {
        let request = Request::post("https://api.anthropic.com/v1/messages");
        let body = Full::<Bytes>::from(r#"{"model":"m"}"#);
        let _ = service.clone().oneshot(request.body(body).unwrap()).await;
    }
    assert_eq!(*calls.lock().unwrap(), HashMap::from([(200, 10), (429, 1)]));
}

#[tokio::test(start_paused = true)]
async fn learning_accounts_loses_no_key() {
    const KEYS: usize = 70;
    let labels: Vec<_> = (0..KEYS).map(|n| n.to_string()).collect();
    let models = ["m", "n"].map(model);
    for seed in 0..30 {
        fastrand::seed(seed);
        let pool = pool(&labels.iter().map(String::as_str).collect::<Vec<_>>());
        let mut held = Vec::new();
        for _ in 0..600 {
            let model = models.get(fastrand::usize(..3));
            held.extend(pool.acquire(model).ok());
            if held.is_empty() || fastrand::bool() {
                advance(SECOND / 4).await;
                continue;
            }
            let mut lease: Lease = held.swap_remove(fastrand::usize(..held.len()));
            lease.observe(StatusCode::OK, &of(&fastrand::u8(..6).to_string()), None);
            let scope = [Scope::Key, Scope::Account, Scope::AccountModel][fastrand::usize(..3)];
            match fastrand::u8(..3) {
                0 => lease.succeed(),
                1 => drop(lease),
                _ => {
                    drop(lease.fail(&Fault::new(Reason::RateLimited, scope).with_retry_after(SECOND), model));
                }
            }
        }
        held.into_iter().for_each(Lease::succeed);
        // Probes come first, one for each account and model. After them nothing is held back.
        for model in [None, Some(&models[0]), Some(&models[1])].repeat(3) {
            advance(2 * SECOND).await;
            let leases: Vec<_> = std::iter::from_fn(|| pool.acquire(model).ok()).take(2 * KEYS).collect();
            leases.into_iter().for_each(Lease::succeed);
        }
        assert_eq!(usable(&pool).len(), KEYS, "seed {seed}");
    }
}

/// A limit of an account that the provider does not name.
fn nameless(wait: Duration) -> Fault {
    Fault::new(Reason::RateLimited, Scope::AccountModel).with_retry_after(wait)
}

fn digits() -> KeyPool {
    pool(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"])
}

/// Acquires and refuses keys until none is left. Returns their number.
fn refuse_all(pool: &KeyPool, fault: &Fault, model: Option<&ModelId>) -> usize {
    std::iter::from_fn(|| pool.acquire(model).ok()).map(|lease| drop(lease.fail(fault, model))).count()
}

#[tokio::test(start_paused = true)]
async fn an_unnamed_account_costs_three_refusals() {
    for model in [None, Some(model("m"))] {
        let (pool, model) = (digits(), model.as_ref());
        (0..10).for_each(|_| pool.acquire(model).unwrap().succeed());
        for window in 0..5 {
            let refused = refuse_all(&pool, &nameless(MINUTE), model);
            assert!(refused <= 3, "window {window}: {refused}");
            assert_eq!(exhausted(&pool, model).retry_after(), Some(MINUTE));
            advance(MINUTE).await;
        }
        // The limit is over: one canary, and then all keys.
        let trial = pool.acquire(model).unwrap();
        assert!(trial.is_probe() && exhausted(&pool, model).is_probing());
        trial.succeed();
        assert_eq!(std::iter::from_fn(|| pool.acquire(model).ok()).take(20).count(), 20);
    }
}

#[tokio::test(start_paused = true)]
async fn served_keys_are_not_held() {
    let pool = digits();
    let mut busy: Vec<_> = (0..7).map(|_| lease(&pool)).collect();
    let refused: Vec<_> = busy.drain(..3).collect();
    advance(SECOND / 10).await;
    refused.into_iter().for_each(|lease| drop(lease.fail(&nameless(MINUTE), None)));
    assert_eq!(usable(&pool), [""; 0], "all that are not known to be served");
    let served = busy.remove(0);
    let name = served.key_id().to_string();
    served.succeed();
    assert_eq!(usable(&pool), [&*name], "it was under way before the refusals, so it speaks for itself only");
    lease(&pool).succeed();
    assert_eq!(usable(&pool).len(), 7, "what was asked later speaks for all");
    assert_eq!(usable(&pool)[4..], ["7", "8", "9"]);
}

#[tokio::test(start_paused = true)]
async fn two_simultaneous_limits_hold_no_key() {
    let pool = digits();
    fail(&pool, "0", &nameless(MINUTE));
    fail(&pool, "1", &nameless(MINUTE));
    assert_eq!(usable(&pool).len(), 8);
}

#[tokio::test(start_paused = true)]
async fn different_refusals_hold_no_key() {
    let quota = Fault::new(Reason::QuotaExceeded, Scope::Account).with_retry_after(MINUTE);
    let of_key = Fault::new(Reason::RateLimited, Scope::Key).with_retry_after(MINUTE);
    for other in [quota, of_key, nameless(MINUTE * 3 / 4)] {
        let pool = digits();
        fail(&pool, "0", &nameless(MINUTE));
        fail(&pool, "1", &other);
        fail(&pool, "2", &nameless(MINUTE));
        fail(&pool, "3", &other);
        assert_eq!(usable(&pool).len(), 6, "{other:?}");
    }
    let pool = digits();
    for name in ["0", "1", "2", "3"] {
        fail(&pool, name, &nameless(MINUTE));
        advance(SECOND + SECOND / 2).await;
    }
    assert_eq!(usable(&pool).len(), 6, "one at a time");
    let pool = digits();
    for name in ["0", "1", "2", "3"] {
        fail(&pool, name, &nameless(MINUTE));
        lease(&pool).succeed();
    }
    assert_eq!(usable(&pool).len(), 6, "others are served in between");
}

#[tokio::test(start_paused = true)]
async fn repeated_refusals_count_as_one_key() {
    let pool = digits();
    let mut leases: Vec<_> = (0..30).map(|_| lease(&pool)).collect();
    leases.retain(|lease| matches!(lease.key_id().as_str(), "0" | "1"));
    leases.into_iter().for_each(|lease| drop(lease.fail(&nameless(MINUTE), None)));
    assert_eq!(usable(&pool).len(), 8);
}

#[tokio::test(start_paused = true)]
async fn keys_of_known_accounts_and_backups_are_not_held() {
    let mut keys: Vec<_> = (0..6).map(|n| key(&n.to_string())).collect();
    keys.push(key("declared").account("org"));
    keys.push(key("backup").tier(Tier::Backup));
    let pool = builder().keys(keys).build().unwrap();
    answer(&pool, "5", &of("acme"));
    ["0", "1", "2"].into_iter().for_each(|name| drop(fail(&pool, name, &nameless(MINUTE))));
    assert_eq!(usable(&pool), ["5", "declared"]);
    pool.disable(&id("5")).unwrap();
    pool.disable(&id("declared")).unwrap();
    assert_eq!(usable(&pool), ["backup"]);
}

#[tokio::test(start_paused = true)]
async fn unanswered_keys_are_held_after_three_refusals() {
    let pool = digits();
    let refused = std::iter::from_fn(|| pool.acquire(None).ok()).map(|mut lease| {
        lease.observe(StatusCode::OK, &of("acme"), None);
        lease.fail(&account_limit(), None);
    });
    assert_eq!(refused.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_shared_quota_gets_a_canary_after_a_second() {
    let pool = digits();
    let quota = Fault::new(Reason::QuotaExceeded, Scope::Account).with_retry_after(DAY);
    ["0", "1", "2"].into_iter().for_each(|name| drop(fail(&pool, name, &quota)));
    for pause in [1, 2, 4, 8] {
        assert_eq!(wait(&pool), Some(pause * SECOND));
        assert_eq!(shown(&pool, "9").state, KeyState::QuotaExceeded);
        advance(pause * SECOND).await;
        fail(&pool, &next(&pool), &quota);
    }
    advance(16 * SECOND).await;
    lease(&pool).succeed();
    assert_eq!(usable(&pool).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_canary_is_handed_on() {
    let pool = digits();
    refuse_all(&pool, &nameless(SECOND), None);
    advance(SECOND).await;
    for _ in 0..5 {
        let trial = lease(&pool);
        assert!(pool.acquire(None).is_err());
        advance(MINUTE).await;
        drop(trial);
    }
    drop(lease(&pool).fail(&Fault::new(Reason::ServerError, Scope::Provider), None));
    lease(&pool).succeed();
    assert_eq!(usable(&pool).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_unused_hold_is_dropped() {
    let pool = digits();
    refuse_all(&pool, &nameless(SECOND), None);
    advance(MINUTE).await;
    assert_eq!(usable(&pool).len(), 10);
    refuse_all(&pool, &nameless(MINUTE), None);
    assert_eq!(wait(&pool), Some(MINUTE), "and begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_reset_releases_held_keys() {
    let pool = digits();
    refuse_all(&pool, &nameless(MINUTE), Some(&model("m")));
    refuse_all(&pool, &nameless(MINUTE), None);
    assert_eq!(shown(&pool, "9").until, shown(&pool, "0").until);
    pool.reset_all();
    assert_eq!(usable(&pool).len(), 10);
    assert!(pool.acquire(Some(&model("m"))).is_ok());
}

#[tokio::test(start_paused = true)]
async fn released_keys_wake_a_waiter() {
    let pool = digits();
    let mut leases: Vec<_> = (0..4).map(|_| lease(&pool)).collect();
    let served = leases.pop().unwrap();
    leases.into_iter().for_each(|lease| drop(lease.fail(&nameless(MINUTE), None)));
    let deadline = tokio::time::Instant::now() + HOUR;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire_by(None, deadline).await.map(|lease| lease.key_id().to_string()) }
    });
    tokio::task::yield_now().await;
    served.succeed();
    let before = tokio::time::Instant::now();
    waiting.await.unwrap().unwrap();
    assert_eq!(tokio::time::Instant::now(), before);
}
