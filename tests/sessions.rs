//! Sessions: the requests of one session use one key.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

#[path = "support/pool.rs"]
mod support;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use proptest::prelude::*;
use tokio::time::{Instant, advance};
use tower_key_rotation::Session;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::key::ApiKey;
use tower_key_rotation::pool::{AcquireRequest, KeyPool, Lease, Selection};

use self::support::*;

fn named(n: usize) -> Session {
    Session::new(format!("session-{n}"))
}

fn lease_for(pool: &KeyPool, session: Session) -> Lease {
    pool.acquire(AcquireRequest::new().session(session)).unwrap()
}

/// Returns the key that the session would get now.
fn key_of(pool: &KeyPool, session: Session) -> String {
    lease_for(pool, session).key_id().to_string()
}

fn pool_of(keys: impl IntoIterator<Item = ApiKey>) -> KeyPool {
    builder().keys(keys).build().unwrap()
}

fn numbered(keys: impl IntoIterator<Item = usize>) -> KeyPool {
    pool_of(keys.into_iter().map(|n| key(&format!("key-{n}"))))
}

/// Returns the number of sessions at each key, for this number of sessions.
fn homes(pool: &KeyPool, sessions: usize) -> BTreeMap<String, usize> {
    let mut homes = BTreeMap::new();
    for n in 0..sessions {
        *homes.entry(key_of(pool, named(n))).or_default() += 1;
    }
    homes
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_its_key() {
    for selection in [
        Selection::RoundRobin,
        Selection::InOrder,
        Selection::Random,
        Selection::LeastInFlight,
        Selection::MostRemaining,
    ] {
        let pool = builder().keys(["a", "b", "c", "d", "e"].map(key)).selection(selection).build().unwrap();
        for session in (0..20).map(named) {
            let home = key_of(&pool, session);
            for _ in 0..5 {
                next(&pool);
                assert_eq!(key_of(&pool, session), home, "{selection:?}");
            }
        }
        assert_eq!(homes(&pool, 100).len(), 5, "{selection:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_process_and_every_version_agrees_on_a_home() {
    let pool = pool(&["a", "b", "c", "d"]);
    let homes: Vec<_> = (0..12).map(|n| key_of(&pool, named(n))).collect();
    assert_eq!(homes.concat(), "bccadcdbddcd");
    let large = numbered(0..1_000);
    assert_eq!(
        (0..3).map(|n| key_of(&large, named(n))).collect::<Vec<_>>(),
        ["key-599", "key-581", "key-360"]
    );
}

#[tokio::test(start_paused = true)]
async fn sessions_are_spread_evenly_over_few_keys_and_over_many() {
    for (keys, unevenness) in [(2, 0.05), (5, 0.08), (64, 0.35), (500, 0.6), (4_000, 0.7)] {
        let (each, pool) = (if keys < 64 { 2_000 } else { 100 }, numbered(0..keys));
        let homes = homes(&pool, each * keys);
        assert_eq!(homes.len(), keys);
        for (name, sessions) in homes {
            let share = sessions as f64 / each as f64;
            assert!((share - 1.0).abs() < unevenness, "{name} of {keys}: {share}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_follow_weights() {
    let weighted = |name, weight| key(name).weight(NonZeroU32::new(weight).unwrap());
    let homes = homes(&pool_of([weighted("a", 500), weighted("b", 300), weighted("c", 200)]), 10_000);
    for (name, share) in [("a", 0.5), ("b", 0.3), ("c", 0.2)] {
        assert!((homes[name] as f64 / 10_000.0 - share).abs() < 0.02, "{homes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_returns_after_a_cooldown() {
    let pool = pool(&["a", "b", "c", "d", "e", "f"]);
    for session in (0..10).map(named) {
        let first = lease_for(&pool, session);
        let home = first.key_id().to_string();
        first.fail(&limit(MINUTE), None);
        let second = key_of(&pool, session);
        assert_ne!(second, home);
        for _ in 0..10 {
            next(&pool);
            assert_eq!(key_of(&pool, session), second);
        }
        advance(MINUTE).await;
        let probe = lease_for(&pool, session);
        assert_eq!(probe.key_id().as_str(), home);
        assert_eq!(key_of(&pool, session), second, "one probe is enough");
        probe.succeed();
        assert_eq!(key_of(&pool, session), home);
    }
}

#[tokio::test(start_paused = true)]
async fn removing_a_key_moves_only_its_sessions() {
    for keys in [2, 7, 64, 130, 1_500] {
        let gone = keys / 2;
        // In another order, since the name counts and not the position.
        let (before, after) = (numbered(0..keys), numbered((0..keys).rev().filter(|n| *n != gone)));
        let mut moved = 0;
        for session in (0..4_000).map(named) {
            let (old, new) = (key_of(&before, session), key_of(&after, session));
            let removed = old == format!("key-{gone}");
            assert_eq!(old != new, removed, "{keys} keys: {old} -> {new}");
            moved += usize::from(removed);
        }
        assert!(moved < 4_000 * 2 / keys + 20, "{keys} keys: {moved}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_substitute_is_the_next_home() {
    for keys in [3, 64, 700] {
        let pool = numbered(0..keys);
        for session in (0..20).map(named) {
            let lease = lease_for(&pool, session);
            let home = lease.key_id().to_string();
            let penalty = lease.fail(&limit(MINUTE), None).unwrap();
            let without = numbered((0..keys).filter(|n| format!("key-{n}") != home));
            assert_eq!(key_of(&pool, session), key_of(&without, session));
            penalty.undo();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// For any two pools, a session whose home is in both pools has the same home in both, or one that the
    /// other pool does not have.
    #[test]
    fn changes_move_no_session_between_kept_keys(
        one in prop::collection::btree_set(0_usize..90, 1..80),
        other in prop::collection::btree_set(0_usize..90, 1..80),
        sessions in prop::collection::vec(any::<u64>(), 30),
        weights in prop::collection::vec(1_u32..5, 90),
    ) {
        let pool = |keys: &std::collections::BTreeSet<usize>| {
            let weight = |n: &usize| NonZeroU32::new(weights[*n]).unwrap();
            pool_of(keys.iter().map(|n| key(&n.to_string()).weight(weight(n))))
        };
        let (one_pool, other_pool) = (pool(&one), pool(&other));
        for session in sessions.iter().map(|session| Session::new(session.to_be_bytes())) {
            let number = |pool| key_of(pool, session).parse::<usize>().unwrap();
            let (old, new) = (number(&one_pool), number(&other_pool));
            prop_assert!(old == new || !other.contains(&old) || !one.contains(&new), "{old} -> {new}");
        }
    }
}

/// Counts the leases of each key.
fn held(leases: &[Lease]) -> BTreeMap<String, usize> {
    let mut held = BTreeMap::new();
    for lease in leases {
        *held.entry(lease.key_id().to_string()).or_default() += 1;
    }
    held
}

#[tokio::test(start_paused = true)]
async fn a_flooding_session_uses_its_other_keys() {
    let pool = pool(&["a", "b", "c", "d"]);
    let session = named(1);
    let mut leases: Vec<Lease> = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for n in 0..400 {
        let lease = lease_for(&pool, session);
        let count = counts.entry(lease.key_id().to_string()).or_default();
        let bound = (1.25 * n as f64 / 4.0).ceil() as usize + 1;
        assert!(*count <= bound, "{n} in flight: {counts:?}");
        *counts.get_mut(lease.key_id().as_str()).unwrap() += 1;
        leases.push(lease);
    }
    assert_eq!(held(&leases).len(), 4);
    // The session fills its keys in its own order, so its home is full.
    let home = leases[0].key_id().to_string();
    assert_eq!(held(&leases)[&home], 127);
    leases.clear();
    assert_eq!(key_of(&pool, session), home);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_pool_serves_sessions_at_home() {
    let pool = pool(&["a", "b", "c", "d"]);
    let leases: Vec<_> = (0..2).map(|_| lease_for(&pool, named(1))).collect();
    assert_eq!(held(&leases).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn open_keys_bear_the_load_of_closed_ones() {
    let pool = pool(&["a", "b", "c", "d"]);
    let session = named(1);
    for _ in 0..2 {
        lease_for(&pool, session).fail(&limit(HOUR), None);
    }
    let home = key_of(&pool, session);
    let leases: Vec<_> = (0..100).map(|_| lease_for(&pool, session)).collect();
    let held = held(&leases);
    assert_eq!(held.len(), 2);
    assert!((60..70).contains(&held[&home]), "five quarters of a half: {held:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_uses_a_backup_last() {
    let pool = pool_of([key("x").backup(), key("a"), key("y").backup(), key("b")]);
    for session in (0..20).map(named) {
        let home = key_of(&pool, session);
        assert!(["a", "b"].contains(&home.as_str()), "{home}");
    }
    for name in ["a", "b"] {
        fail(&pool, name, &limit(MINUTE));
    }
    let backups: BTreeMap<_, _> = homes(&pool, 20);
    assert_eq!(backups.keys().collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(backups, homes(&pool, 20));
}

#[tokio::test(start_paused = true)]
async fn a_model_in_cooldown_moves_no_other() {
    let pool = pool(&["a", "b", "c", "d"]);
    let (model, other) = (model("one"), model("two"));
    let session = named(3);
    let lease = pool.acquire(AcquireRequest::new().session(session).model(&model)).unwrap();
    let home = lease.key_id().clone();
    let fault = Fault::new(Reason::RateLimited, Scope::KeyModel).with_retry_after(MINUTE);
    lease.fail(&fault, Some(&model));
    let of =
        |model| pool.acquire(AcquireRequest::new().session(session).model(model)).unwrap().key_id().clone();
    assert_ne!(of(&model), home);
    assert_eq!(of(&other), home);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_the_key_of_its_session() {
    let pool = pool(&["a", "b", "c", "d"]);
    let session = named(5);
    let home = key_of(&pool, session);
    while let Ok(lease) = pool.acquire(None) {
        lease.fail(&limit(MINUTE), None);
    }
    let ask = AcquireRequest::new().session(session);
    let lease = pool.acquire_by(ask, Instant::now() + HOUR).await.unwrap();
    assert_eq!(lease.key_id().as_str(), home);
}
