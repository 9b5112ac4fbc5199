//! Probes: the single attempt that a scope admits when its cooldown ends.

#[path = "support/pool.rs"]
mod support;

use tokio::time::advance;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::pool::{KeyPool, KeyState, Lease};

use self::support::*;

/// The probe of a pool with one key whose cooldown has just ended.
async fn probing(pool: &KeyPool) -> Lease {
    lease(pool).fail(&limit(SECOND), None);
    advance(SECOND).await;
    let probe = lease(pool);
    assert!(probe.is_probe());
    probe
}

#[tokio::test(start_paused = true)]
async fn only_one_attempt_probes_after_a_cooldown() {
    let pool = pool(&["a", "b"]);
    fail(&pool, "a", &limit(SECOND));
    advance(SECOND).await;
    let probe = lease_of(&pool, "a", None);
    assert!(probe.is_probe());
    assert_eq!(shown(&pool, "a").state, KeyState::Probing);
    for _ in 0..4 {
        assert_eq!(next(&pool), "b");
    }
    probe.succeed();
    let names = [next(&pool), next(&pool)];
    assert!(names.contains(&"a".to_owned()), "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_the_only_key_has_no_wait() {
    let pool = pool(&["a"]);
    let probe = probing(&pool).await;
    let exhausted = exhausted(&pool, None);
    assert_eq!(exhausted.retry_after(), None);
    assert!(exhausted.is_probing());
    assert!(exhausted.to_string().contains("probe"), "{exhausted}");
    probe.succeed();
    assert!(!lease(&pool).is_probe());
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_lengthens_the_cooldown() {
    let pool = pool(&["a"]);
    lease(&pool).fail(&unhinted(), None);
    advance(2 * SECOND).await;
    lease(&pool).fail(&unhinted(), None);
    assert!(wait(&pool).unwrap() >= 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_is_handed_on() {
    let pool = pool(&["a"]);
    let probe = probing(&pool).await;
    drop(probe);
    for _ in 0..3 {
        assert!(lease(&pool).is_probe());
    }
    lease(&pool).succeed();
    assert!(!lease(&pool).is_probe());
    assert_eq!(shown(&pool, "a").faults, 1);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_concerns_no_key_hands_the_probe_on() {
    for scope in [Scope::Provider, Scope::ProviderModel, Scope::None] {
        let pool = pool(&["a"]);
        let probe = probing(&pool).await;
        assert!(probe.fail(&Fault::new(Reason::ServerError, scope), None).is_none());
        assert!(lease(&pool).is_probe(), "{scope}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_another_scope_hands_the_probe_on() {
    let pool = pool(&["a"]);
    let probe = probing(&pool).await;
    let chat = model("chat");
    probe.fail(&Fault::new(Reason::RateLimited, Scope::KeyModel), Some(&chat));
    assert!(lease(&pool).is_probe());
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_another_model_hands_the_probe_on() {
    let pool = pool(&["a"]);
    let (chat, other) = (model("chat"), model("other"));
    let fault = Fault::new(Reason::RateLimited, Scope::KeyModel).with_retry_after(SECOND);
    lease(&pool).fail(&fault, Some(&chat));
    advance(SECOND).await;
    let probe = pool.acquire(Some(&chat)).unwrap();
    assert!(probe.is_probe());
    probe.fail(&fault, Some(&other));
    let again = pool.acquire(Some(&chat)).unwrap();
    assert!(again.is_probe());
    again.succeed();
    assert!(!pool.acquire(Some(&chat)).unwrap().is_probe());
}

#[tokio::test(start_paused = true)]
async fn an_account_is_probed_by_one_of_its_keys() {
    let pool = builder().keys(["a", "b", "c"].map(|name| key(name).account("org"))).build().unwrap();
    lease(&pool).fail(&Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(SECOND), None);
    advance(SECOND).await;
    let probe = lease(&pool);
    assert!(probe.is_probe());
    assert!(pool.acquire(None).is_err());
    probe.succeed();
    let mut names = [next(&pool), next(&pool), next(&pool)];
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_a_key_waits_for_its_account() {
    let pool = builder().keys(["a", "b"].map(|name| key(name).account("org"))).build().unwrap();
    fail(&pool, "a", &limit(SECOND));
    fail(&pool, "b", &Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(MINUTE));
    advance(SECOND).await;
    assert_eq!(wait(&pool), Some(MINUTE - SECOND), "the account is still out");
    advance(MINUTE - SECOND).await;
    let probe = lease_of(&pool, "a", None);
    assert!(probe.is_probe());
    probe.succeed();
    assert!(!lease(&pool).is_probe());
    assert!(!lease(&pool).is_probe());
}

#[tokio::test(start_paused = true)]
async fn every_cooldown_ends() {
    let pool = pool(&["a"]);
    for reason in [Reason::RateLimited, Reason::QuotaExceeded, Reason::Forbidden] {
        for _ in 0..40 {
            lease(&pool).fail(&Fault::new(reason, Scope::Key), None);
            advance(wait(&pool).unwrap()).await;
        }
        lease(&pool).succeed();
        assert!(!lease(&pool).is_probe(), "{reason}");
    }
}
