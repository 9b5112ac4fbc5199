//! Limits that concern one model, and limits that keys of one account share.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

#[path = "support/pool.rs"]
mod support;

use tokio::time::advance;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::pool::{KeyPool, KeyState};

use self::support::*;

fn fault(scope: Scope) -> Fault {
    Fault::new(Reason::RateLimited, scope).with_retry_after(MINUTE)
}

/// `a` and `b` belong to one organisation, `c` does not.
fn organisations() -> KeyPool {
    let keys = [key("a").account("org-1"), key("b").account("org-1"), key("c").account("org-2")];
    builder().keys(keys).build().unwrap()
}

// === models ===

#[tokio::test(start_paused = true)]
async fn a_limit_of_a_model_concerns_no_other() {
    for scope in [Scope::KeyModel, Scope::AccountModel] {
        let pool = pool(&["a"]);
        let (chat, other) = (model("chat"), model("other"));
        pool.acquire(Some(&chat)).unwrap().fail(&fault(scope), Some(&chat));
        assert_eq!(exhausted(&pool, Some(&chat)).retry_after(), Some(MINUTE), "{scope}");
        assert!(pool.acquire(Some(&other)).is_ok(), "{scope}");
        assert!(pool.acquire(None).is_ok(), "{scope}");
        let shown = shown(&pool, "a");
        assert_eq!(shown.state, KeyState::Available);
        assert_eq!(shown.models.len(), 1);
        assert_eq!((&shown.models[0].model, shown.models[0].state), (&chat, KeyState::RateLimited));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_of_a_model_ends_by_its_own_probe() {
    let pool = pool(&["a", "b"]);
    let chat = model("chat");
    pool.acquire(Some(&chat)).unwrap().fail(&fault(Scope::KeyModel), Some(&chat));
    for _ in 0..3 {
        assert_eq!(pool.acquire(Some(&chat)).unwrap().key_id().as_str(), "b");
    }
    advance(MINUTE).await;
    let probe = lease_of(&pool, "a", Some(&chat));
    assert!(probe.is_probe());
    assert!(!lease_of(&pool, "a", None).is_probe(), "other models go on");
    assert_eq!(pool.acquire(Some(&chat)).unwrap().key_id().as_str(), "b");
    probe.succeed();
    assert!(!lease_of(&pool, "a", Some(&chat)).is_probe());
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_an_unknown_model_concerns_all() {
    let pool = organisations();
    lease_of(&pool, "c", None).fail(&fault(Scope::KeyModel), None);
    assert_eq!(shown(&pool, "c").state, KeyState::RateLimited);
    lease_of(&pool, "a", None).fail(&fault(Scope::AccountModel), None);
    assert_eq!(shown(&pool, "b").state, KeyState::RateLimited);
    assert_eq!(wait(&pool), Some(MINUTE));
}

#[tokio::test(start_paused = true)]
async fn a_model_named_by_the_response_counts() {
    let pool = pool(&["a"]);
    let chat = model("chat");
    for _ in 0..3 {
        lease(&pool).fail(&fault(Scope::KeyModel), Some(&chat));
        assert_eq!(exhausted(&pool, Some(&chat)).retry_after(), Some(MINUTE));
        advance(MINUTE).await;
        pool.acquire(Some(&chat)).unwrap().succeed();
        advance(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_burst_on_a_model_counts_once() {
    let pool = pool(&["a"]);
    let chat = model("chat");
    let leases: Vec<_> = (0..50).map(|_| pool.acquire(Some(&chat)).unwrap()).collect();
    let unhinted = Fault::new(Reason::RateLimited, Scope::KeyModel);
    leases.into_iter().for_each(|lease| drop(lease.fail(&unhinted, Some(&chat))));
    assert!(exhausted(&pool, Some(&chat)).retry_after().unwrap() <= SECOND * 5 / 4);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_model_is_forgotten() {
    let pool = builder().key(key("a")).max_models(2).build().unwrap();
    let names = ["one", "two", "three"].map(model);
    for name in &names {
        pool.acquire(Some(name)).unwrap().fail(&fault(Scope::KeyModel), Some(name));
        advance(SECOND).await;
    }
    assert_eq!(shown(&pool, "a").models.len(), 2);
    assert!(pool.acquire(Some(&names[0])).is_ok(), "forgotten");
    assert!(pool.acquire(Some(&names[1])).is_err());
    assert!(pool.acquire(Some(&names[2])).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_repeated_fault_keeps_a_model() {
    let pool = builder().key(key("a")).max_models(2).build().unwrap();
    let names = ["one", "two", "three"].map(model);
    let late = pool.acquire(Some(&names[0])).unwrap();
    for index in [0, 1] {
        pool.acquire(Some(&names[index])).unwrap().fail(&fault(Scope::KeyModel), Some(&names[index]));
        advance(SECOND).await;
    }
    late.fail(&fault(Scope::KeyModel), Some(&names[0]));
    advance(SECOND).await;
    pool.acquire(Some(&names[2])).unwrap().fail(&fault(Scope::KeyModel), Some(&names[2]));
    assert!(pool.acquire(Some(&names[0])).is_err());
    assert!(pool.acquire(Some(&names[1])).is_ok(), "forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_a_forgotten_model_counts() {
    let pool = builder().key(key("a")).max_models(1).build().unwrap();
    let (chat, other) = (model("chat"), model("other"));
    pool.acquire(Some(&chat)).unwrap().fail(&fault(Scope::KeyModel), Some(&chat));
    advance(MINUTE).await;
    let probe = pool.acquire(Some(&chat)).unwrap();
    assert!(probe.is_probe());
    pool.acquire(Some(&other)).unwrap().fail(&fault(Scope::KeyModel), Some(&other));
    probe.fail(&fault(Scope::KeyModel), Some(&chat));
    assert_eq!(exhausted(&pool, Some(&chat)).retry_after(), Some(MINUTE));
}

#[tokio::test(start_paused = true)]
async fn undoing_for_a_forgotten_model_is_harmless() {
    let pool = builder().key(key("a")).max_models(1).build().unwrap();
    let (chat, other) = (model("chat"), model("other"));
    let penalty = pool.acquire(Some(&chat)).unwrap().fail(&fault(Scope::KeyModel), Some(&chat)).unwrap();
    pool.acquire(Some(&other)).unwrap().fail(&fault(Scope::KeyModel), Some(&other));
    penalty.undo();
    assert!(pool.acquire(Some(&chat)).is_ok());
    assert!(pool.acquire(Some(&other)).is_err());
}

#[tokio::test(start_paused = true)]
async fn at_least_one_model_is_remembered() {
    let pool = builder().key(key("a")).max_models(0).build().unwrap();
    let chat = model("chat");
    pool.acquire(Some(&chat)).unwrap().fail(&fault(Scope::KeyModel), Some(&chat));
    assert!(pool.acquire(Some(&chat)).is_err());
}

// === accounts ===

#[tokio::test(start_paused = true)]
async fn keys_of_one_account_cool_together() {
    let pool = organisations();
    lease_of(&pool, "a", None).fail(&fault(Scope::Account), None);
    for _ in 0..10 {
        assert_eq!(next(&pool), "c");
    }
    assert_eq!(shown(&pool, "b").state, KeyState::RateLimited);
    assert_eq!(shown(&pool, "b").faults, 0, "only the key that was refused is counted");
    assert_eq!(shown(&pool, "c").state, KeyState::Available);
}

#[tokio::test(start_paused = true)]
async fn an_account_may_cool_for_one_model() {
    let pool = organisations();
    let (chat, other) = (model("chat"), model("other"));
    lease_of(&pool, "a", Some(&chat)).fail(&fault(Scope::AccountModel), Some(&chat));
    for _ in 0..10 {
        assert_eq!(pool.acquire(Some(&chat)).unwrap().key_id().as_str(), "c");
    }
    for name in ["a", "b", "c"] {
        drop(lease_of(&pool, name, Some(&other)));
        drop(lease_of(&pool, name, None));
    }
}

#[tokio::test(start_paused = true)]
async fn keys_without_an_account_share_no_limit() {
    let pool = pool(&["a", "b"]);
    fail(&pool, "a", &fault(Scope::Account));
    assert_eq!(next(&pool), "b");
    assert_eq!(shown(&pool, "a").account, None);
}

// === the reported wait ===

#[tokio::test(start_paused = true)]
async fn the_wait_covers_all_scopes_of_a_key() {
    let pool = organisations();
    let chat = model("chat");
    let limit = |scope, seconds| Fault::new(Reason::RateLimited, scope).with_retry_after(seconds * SECOND);
    // a: 5 s itself, 40 s its account; b: 90 s for the model, 40 s its account; c: 30 s and 70 s.
    let (a, b) = (lease_of(&pool, "a", None), lease_of(&pool, "b", Some(&chat)));
    let (c, d) = (lease_of(&pool, "c", None), lease_of(&pool, "c", Some(&chat)));
    let e = lease_of(&pool, "b", None);
    a.fail(&limit(Scope::Key, 5), None);
    b.fail(&limit(Scope::KeyModel, 90), Some(&chat));
    c.fail(&limit(Scope::Key, 30), None);
    d.fail(&limit(Scope::AccountModel, 70), Some(&chat));
    e.fail(&limit(Scope::Account, 40), None);
    assert_eq!(exhausted(&pool, None).retry_after(), Some(30 * SECOND), "c");
    assert_eq!(exhausted(&pool, Some(&chat)).retry_after(), Some(40 * SECOND), "a, when its account is back");
    assert_eq!(exhausted(&pool, Some(&model("other"))).retry_after(), Some(30 * SECOND));

    advance(30 * SECOND).await;
    assert_eq!(next(&pool), "c");
    advance(10 * SECOND).await;
    assert_eq!(pool.acquire(Some(&chat)).unwrap().key_id().as_str(), "a");
}

#[tokio::test(start_paused = true)]
async fn permanent_cooldowns_have_no_wait() {
    let pool = pool(&["a", "b"]);
    fail(&pool, "a", &invalid());
    advance(HOUR).await;
    pool.disable(&id("b")).unwrap();
    pool.reset(&id("a")).unwrap();
    fail(&pool, "a", &invalid());
    pool.enable(&id("b")).unwrap();
    // Within ten minutes without a served request, both would be probed as one outage.
    advance(11 * MINUTE).await;
    fail(&pool, "b", &invalid());
    let exhausted = exhausted(&pool, None);
    assert_eq!(exhausted.retry_after(), None);
    assert_eq!(exhausted.to_string(), "no usable key: replace, enable or reset the keys of the pool");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_key_does_not_affect_the_wait() {
    let pool = pool(&["a", "b"]);
    fail(&pool, "a", &invalid());
    fail(&pool, "b", &limit(MINUTE));
    assert_eq!(wait(&pool), Some(MINUTE));
    assert_eq!(exhausted(&pool, None).to_string(), "no usable key for 60s: add keys, or try again then");
}
