//! Keys that the provider does not accept, and pools whose keys are all refused at once.

#[path = "support/pool.rs"]
mod support;

use tokio::time::advance;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::limits::Quota;
use tower_key_rotation::pool::{KeyPool, KeyState};

use self::support::*;

/// Refuses every key, now.
fn refuse_all(pool: &KeyPool) {
    let keys = pool.snapshot().keys.len();
    let leases: Vec<_> = (0..keys).map(|_| lease(pool)).collect();
    leases.into_iter().for_each(|lease| drop(lease.fail(&invalid(), None)));
}

#[tokio::test(start_paused = true)]
async fn an_invalid_key_is_unusable_until_reset() {
    let pool = pool(&["a", "b"]);
    let penalty = fail(&pool, "a", &invalid().with_retry_after(SECOND)).unwrap();
    assert_eq!(penalty.wait(), None);
    for _ in 0..100 {
        advance(DAY).await;
        assert_eq!(next(&pool), "b");
    }
    let shown = shown(&pool, "a");
    assert_eq!((shown.state, shown.until), (KeyState::Invalid, None));
    pool.reset(&id("a")).unwrap();
    assert_eq!(lease_of(&pool, "a", None).key_id().as_str(), "a");
}

#[tokio::test(start_paused = true)]
async fn keys_revoked_one_by_one_are_never_called_again() {
    let pool = pool(&["a", "b"]);
    fail(&pool, "a", &invalid());
    advance(HOUR).await;
    fail(&pool, "b", &invalid());
    for _ in 0..100 {
        assert_eq!(wait(&pool), None);
        advance(MINUTE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_auth_outage_is_probed_once_a_minute() {
    let pool = pool(&["a", "b", "c"]);
    refuse_all(&pool);
    assert_eq!(wait(&pool), Some(MINUTE));
    for minute in 0..30 {
        advance(MINUTE - SECOND).await;
        assert_eq!(wait(&pool), Some(SECOND), "minute {minute}");
        advance(SECOND).await;
        let probe = lease(&pool);
        assert!(probe.is_probe());
        assert!(pool.acquire(None).is_err(), "one probe a minute");
        advance(SECOND).await;
        probe.fail(&invalid(), None);
        assert_eq!(wait(&pool), Some(MINUTE - SECOND), "minute {minute}");
        advance(MINUTE - SECOND).await;
        drop(lease(&pool));
    }
}

/// A refusal that nothing confirms counts a minute later, and for each key by its own first refusal.
#[tokio::test(start_paused = true)]
async fn keys_refused_while_none_serves_are_one_outage() {
    let pool = pool(&["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        advance(2 * MINUTE).await;
        fail(&pool, name, &invalid());
    }
    assert_eq!(wait(&pool), Some(MINUTE));
    advance(MINUTE).await;
    lease(&pool).succeed();
    let leases: Vec<_> = (0..3).map(|_| lease(&pool)).collect();
    assert_eq!(leases.iter().filter(|lease| lease.is_probe()).count(), 2, "all are released");
}

#[tokio::test(start_paused = true)]
async fn a_served_request_separates_revocations() {
    let pool = pool(&["a", "b"]);
    fail(&pool, "a", &invalid());
    advance(SECOND).await;
    lease(&pool).succeed();
    advance(2 * MINUTE).await;
    fail(&pool, "b", &invalid());
    assert_eq!(wait(&pool), None);
}

#[tokio::test(start_paused = true)]
async fn a_successful_probe_releases_the_others() {
    let pool = pool(&["a", "b", "c"]);
    refuse_all(&pool);
    advance(MINUTE).await;
    lease(&pool).succeed();
    let leases: Vec<_> = (0..3).map(|_| lease(&pool)).collect();
    assert_eq!(leases.iter().filter(|lease| lease.is_probe()).count(), 2);
    leases.into_iter().for_each(tower_key_rotation::pool::Lease::succeed);
    let mut names = [next(&pool), next(&pool), next(&pool)];
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_limited_probe_releases_the_others() {
    let pool = pool(&["a", "b", "c"]);
    refuse_all(&pool);
    advance(MINUTE).await;
    let probe = lease(&pool);
    let name = probe.key_id().clone();
    probe.fail(&limit(20 * SECOND), None);
    assert_eq!(shown(&pool, name.as_str()).state, KeyState::RateLimited);
    let leases = [lease(&pool), lease(&pool)];
    assert!(leases.iter().all(|lease| *lease.key_id() != name && lease.is_probe()));
    assert_eq!(wait(&pool), Some(20 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_key_refused_after_the_outage_is_revoked() {
    let pool = pool(&["a", "b", "c"]);
    refuse_all(&pool);
    advance(MINUTE).await;
    lease(&pool).succeed();
    let (mut good, mut probes): (Vec<_>, Vec<_>) =
        (0..3).map(|_| lease(&pool)).partition(|lease| !lease.is_probe());
    let revoked = probes.remove(0);
    let name = revoked.key_id().to_string();
    revoked.fail(&invalid(), None);
    good.append(&mut probes);
    good.into_iter().for_each(tower_key_rotation::pool::Lease::succeed);
    for _ in 0..20 {
        assert_ne!(next(&pool), name);
        advance(MINUTE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_outage_is_detected() {
    let pool = pool(&["a", "b", "c"]);
    for _ in 0..3 {
        refuse_all(&pool);
        advance(MINUTE).await;
        lease(&pool).succeed();
        // The released keys are refused in the same outage as the one that succeeded.
        advance(10 * MINUTE).await;
    }
    refuse_all(&pool);
    assert_eq!(wait(&pool), Some(MINUTE));
}

#[tokio::test(start_paused = true)]
async fn a_closed_account_is_like_its_keys() {
    let pool = builder().keys(["a", "b"].map(|name| key(name).account("org"))).build().unwrap();
    lease(&pool).fail(&Fault::new(Reason::InvalidKey, Scope::Account), None);
    assert_eq!(shown(&pool, "a").state, KeyState::Invalid);
    assert_eq!(shown(&pool, "b").state, KeyState::Invalid);
    assert_eq!(wait(&pool), Some(MINUTE));
    advance(MINUTE).await;
    lease(&pool).succeed();
    assert!(!lease(&pool).is_probe());
}

#[tokio::test(start_paused = true)]
async fn a_disabled_key_is_not_probed() {
    let pool = pool(&["a", "b"]);
    pool.disable(&id("b")).unwrap();
    fail(&pool, "a", &invalid());
    for _ in 0..5 {
        advance(MINUTE).await;
        assert_eq!(next(&pool), "a");
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_revocation_does_not_hide_an_outage() {
    let pool = pool(&["old", "b", "c", "d"]);
    fail(&pool, "old", &invalid());
    advance(HOUR).await;
    ["b", "c", "d"].into_iter().for_each(|name| drop(fail(&pool, name, &invalid())));
    for _ in 0..20 {
        assert_eq!(wait(&pool), Some(MINUTE));
        advance(MINUTE).await;
        let probe = lease(&pool);
        assert_ne!(probe.key_id().as_str(), "old");
        probe.fail(&invalid(), None);
    }
    advance(MINUTE).await;
    lease(&pool).succeed();
    let leases: Vec<_> = (0..9).map(|_| lease(&pool)).collect();
    assert_eq!(leases.iter().filter(|lease| lease.is_probe()).count(), 2);
    assert!(leases.iter().all(|lease| lease.key_id().as_str() != "old"));
}

#[tokio::test(start_paused = true)]
async fn suspected_keys_are_probed_while_others_serve() {
    let pool = pool(&["a", "b", "c", "d"]);
    ["a", "b"].into_iter().for_each(|name| drop(fail(&pool, name, &invalid())));
    let mut probes = 0;
    for _ in 0..24 * 60 {
        advance(MINUTE).await;
        for _ in 0..4 {
            let lease = lease(&pool);
            match lease.key_id().as_str() {
                "c" | "d" => lease.succeed(),
                _ => {
                    probes += 1;
                    drop(lease.fail(&invalid(), None));
                }
            }
        }
    }
    assert!((24..=30).contains(&probes), "{probes} in a day");
    advance(HOUR + 4 * MINUTE).await;
    let probe = lease(&pool);
    assert!(probe.is_probe());
    probe.succeed();
    let leases: Vec<_> = (0..4).map(|_| lease(&pool)).collect();
    assert_eq!(leases.iter().filter(|lease| lease.is_probe()).count(), 1, "the other of the two");
}

#[tokio::test(start_paused = true)]
async fn limits_apply_to_suspected_keys() {
    let keys = ["a", "b", "c"].map(|name| key(name).account("org"));
    let pool = builder().keys(keys).quota(Quota::concurrent(2)).build().unwrap();
    ["a", "b"].into_iter().for_each(|name| drop(fail(&pool, name, &invalid())));
    advance(MINUTE).await;
    let (probe, _other) = (lease(&pool), lease(&pool));
    assert!(probe.is_probe());
    pool.acquire(None).unwrap_err();
    drop(probe);
    let _in_its_place = lease(&pool);
    pool.acquire(None).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn suspected_keys_are_probed_during_cooldowns() {
    let pool = pool(&["a", "b", "c"]);
    fail(&pool, "a", &Fault::new(Reason::QuotaExceeded, Scope::Key).with_retry_after(DAY));
    ["b", "c"].into_iter().for_each(|name| drop(fail(&pool, name, &invalid())));
    for _ in 0..10 {
        assert_eq!(wait(&pool), Some(MINUTE));
        advance(MINUTE).await;
        drop(lease(&pool).fail(&invalid(), None));
    }
}

#[tokio::test(start_paused = true)]
async fn one_key_revoked_among_others_is_never_called_again() {
    let pool = pool(&["a", "b", "c"]);
    fail(&pool, "a", &invalid());
    for _ in 0..200 {
        advance(10 * MINUTE).await;
        assert_ne!(next(&pool), "a");
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_account_counts_as_one() {
    let keys = [key("a").account("closed"), key("b").account("closed"), key("c")];
    let pool = builder().keys(keys).build().unwrap();
    lease(&pool).fail(&Fault::new(Reason::InvalidKey, Scope::Account), None);
    for _ in 0..200 {
        advance(10 * MINUTE).await;
        assert_eq!(next(&pool), "c");
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspect_for_other_models_is_not_waited_for() {
    let pool = builder().keys([key("a"), key("b").only_models(["small*"])]).build().unwrap();
    refuse_all(&pool);
    pool.disable(&id("a")).unwrap();
    advance(MINUTE * 2).await;
    let (small, large) = (model("small-1"), model("large-1"));
    assert_eq!(pool.acquire(&large).unwrap_err().retry_after(), None);
    assert_eq!(pool.acquire(&small).unwrap().key_id().as_str(), "b");
}

#[tokio::test(start_paused = true)]
async fn disabled_suspects_are_not_waited_for() {
    let pool = pool(&["a", "b", "c"]);
    refuse_all(&pool);
    pool.disable(&id("a")).unwrap();
    assert_eq!(wait(&pool), Some(MINUTE));
    ["b", "c"].into_iter().for_each(|name| pool.disable(&id(name)).unwrap());
    assert_eq!(wait(&pool), None);
    pool.enable(&id("b")).unwrap();
    assert_eq!(wait(&pool), Some(MINUTE), "the only one there is");
    pool.reset(&id("b")).unwrap();
    advance(DAY).await;
    let lease = lease(&pool);
    assert!(!lease.is_probe());
    assert_eq!(
        wait(&{
            pool.disable(&id("b")).unwrap();
            pool.clone()
        }),
        None
    );
}
