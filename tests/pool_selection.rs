//! The choice among usable keys.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

#[path = "support/pool.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use proptest::prelude::*;
use tokio::time::advance;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::key::ApiKey;
use tower_key_rotation::pool::{KeyPool, Lease, Selection};

use self::support::*;

const ALL: [Selection; 5] = [
    Selection::RoundRobin,
    Selection::InOrder,
    Selection::Random,
    Selection::LeastInFlight,
    Selection::MostRemaining,
];

fn weighted(name: &str, weight: u32) -> ApiKey {
    key(name).weight(NonZeroU32::new(weight).unwrap())
}

fn with(selection: Selection, keys: impl IntoIterator<Item = ApiKey>) -> KeyPool {
    builder().keys(keys).selection(selection).build().unwrap()
}

/// Counts the turns of each key.
fn shares(pool: &KeyPool, times: usize) -> BTreeMap<String, f64> {
    let mut shares = BTreeMap::new();
    for _ in 0..times {
        *shares.entry(next(pool)).or_insert(0.0) += 1.0 / times as f64;
    }
    shares
}

fn assert_shares(pool: &KeyPool, times: usize, expected: &[(&str, f64)]) {
    let shares = shares(pool, times);
    assert_eq!(shares.len(), expected.len(), "{shares:?}");
    for (name, share) in expected {
        assert!((shares[*name] - share).abs() < 0.02, "{name}: {shares:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn by_default_each_key_has_its_turn() {
    let pool = pool(&["a", "b", "c"]);
    let names: Vec<_> = (0..7).map(|_| next(&pool)).collect();
    assert_eq!(names, ["a", "b", "c", "a", "b", "c", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_does_not_inherit_turns() {
    let pool = pool(&["a", "b", "c", "d", "e", "f"]);
    for name in ["b", "c", "e"] {
        fail(&pool, name, &limit(HOUR));
    }
    let third = 1.0 / 3.0;
    assert_shares(&pool, 3_000, &[("a", third), ("d", third), ("f", third)]);
}

#[tokio::test(start_paused = true)]
async fn turns_are_even_across_the_words_of_a_large_pool() {
    let keys = 200;
    let pool = with(Selection::RoundRobin, (0..keys).map(|n| key(&format!("{n:03}"))));
    let leases: Vec<_> = (0..keys).map(|_| lease(&pool)).collect();
    for (n, lease) in leases.into_iter().enumerate() {
        if (50..180).contains(&n) {
            lease.fail(&limit(HOUR), None);
        }
    }
    let shares = shares(&pool, 7_000);
    assert_eq!(shares.len(), 70);
    for (name, share) in shares {
        assert!((share - 1.0 / 70.0).abs() < 0.02 / 70.0, "{name}: {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_back_has_its_turn_again() {
    let pool = pool(&["a", "b"]);
    fail(&pool, "a", &limit(MINUTE));
    assert_eq!(shares(&pool, 10).len(), 1);
    advance(MINUTE).await;
    lease_of(&pool, "a", None).succeed();
    assert_shares(&pool, 100, &[("a", 0.5), ("b", 0.5)]);
}

#[tokio::test(start_paused = true)]
async fn a_key_has_as_many_turns_as_its_weight_says() {
    let pool = with(Selection::RoundRobin, [weighted("a", 5), weighted("b", 3), weighted("c", 2)]);
    assert_shares(&pool, 10_000, &[("a", 0.5), ("b", 0.3), ("c", 0.2)]);
}

#[tokio::test(start_paused = true)]
async fn weights_apply_among_usable_keys() {
    let pool = with(Selection::RoundRobin, [weighted("a", 5), weighted("b", 3), weighted("c", 2)]);
    fail(&pool, "b", &limit(HOUR));
    assert_shares(&pool, 10_000, &[("a", 5.0 / 7.0), ("c", 2.0 / 7.0)]);
}

#[tokio::test(start_paused = true)]
async fn the_turns_of_a_heavy_key_are_spread() {
    let pool = with(Selection::RoundRobin, [weighted("a", 4), weighted("b", 4), weighted("c", 2)]);
    let names: Vec<_> = (0..5).map(|_| next(&pool)).collect();
    assert!(names.windows(3).all(|three| three[0] != three[1] || three[1] != three[2]), "{names:?}");
    assert_eq!(names.iter().filter(|name| *name == "c").count(), 1, "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn in_order_fills_one_key_before_the_next_is_touched() {
    let pool = with(Selection::InOrder, ["a", "b", "c"].map(key));
    assert_shares(&pool, 20, &[("a", 1.0)]);
    fail(&pool, "a", &limit(MINUTE));
    assert_shares(&pool, 20, &[("b", 1.0)]);
    fail(&pool, "b", &limit(HOUR));
    assert_shares(&pool, 20, &[("c", 1.0)]);
    advance(MINUTE).await;
    lease(&pool).succeed();
    assert_shares(&pool, 20, &[("a", 1.0)]);
}

#[tokio::test(start_paused = true)]
async fn random_selection_follows_weights() {
    fastrand::seed(7);
    let pool = with(Selection::Random, [weighted("a", 2), weighted("b", 1), weighted("c", 1)]);
    assert_shares(&pool, 20_000, &[("a", 0.5), ("b", 0.25), ("c", 0.25)]);
    fail(&pool, "b", &limit(HOUR));
    assert_shares(&pool, 20_000, &[("a", 2.0 / 3.0), ("c", 1.0 / 3.0)]);
}

#[tokio::test(start_paused = true)]
async fn the_least_busy_has_its_turn_among_equals() {
    let pool = with(Selection::LeastInFlight, ["a", "b", "c"].map(key));
    let names: Vec<_> = (0..6).map(|_| next(&pool)).collect();
    assert_eq!(names, ["a", "b", "c", "a", "b", "c"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// However leases come and go, no key of a small pool is less busy than the one that is chosen.
    #[test]
    fn the_least_busy_of_a_small_pool_is_chosen(
        keys in 1_usize..=8,
        steps in prop::collection::vec(prop::option::weighted(0.4, any::<prop::sample::Index>()), 1..80),
    ) {
        let pool = with(Selection::LeastInFlight, (0..keys).map(|n| key(&n.to_string())));
        let (mut leases, mut busy) = (Vec::new(), vec![0; keys]);
        let number = |lease: &Lease| lease.key_id().as_str().parse::<usize>().unwrap();
        for step in steps {
            match step.filter(|_| !leases.is_empty()) {
                Some(index) => {
                    let lease: Lease = leases.swap_remove(index.index(leases.len()));
                    busy[number(&lease)] -= 1;
                    settle(lease);
                }
                None => {
                    let lease = lease(&pool);
                    prop_assert_eq!(busy[number(&lease)], *busy.iter().min().unwrap(), "{:?}", busy);
                    busy[number(&lease)] += 1;
                    leases.push(lease);
                }
            }
        }
    }
}

/// Ends a lease in one of the ways that leave the key usable.
fn settle(lease: Lease) {
    let overloaded = Fault::new(Reason::Overloaded, Scope::Provider);
    match lease.key_id().as_str() {
        "0" | "1" | "2" => lease.succeed(),
        "3" | "4" => drop(lease.fail(&overloaded, None)),
        _ => drop(lease),
    }
}

#[tokio::test(start_paused = true)]
async fn the_busy_keys_of_a_large_pool_are_left_alone() {
    fastrand::seed(7);
    let pool = with(Selection::LeastInFlight, (0..200).map(|n| key(&n.to_string())));
    let busy: Vec<_> = (0..50).map(|_| lease(&pool)).collect();
    let names: BTreeSet<_> = busy.iter().map(|lease| lease.key_id().to_string()).collect();
    assert_eq!(names.len(), 50);
    // Both of two sampled keys are busy once in sixteen times.
    let chosen = shares(&pool, 1_500);
    let wrong: f64 = names.iter().filter_map(|name| chosen.get(name)).sum();
    assert!(wrong < 0.08, "{wrong}");
    let more: Vec<_> = (0..2_000).map(|_| lease(&pool)).collect();
    let mut counts = BTreeMap::new();
    for lease in more.iter().chain(&busy) {
        *counts.entry(lease.key_id().to_string()).or_insert(0) += 1;
    }
    assert!(counts.values().all(|count| (7..=13).contains(count)), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_heavier_key_has_more_to_do_before_it_is_busy() {
    let pool = with(Selection::LeastInFlight, [weighted("a", 5), weighted("b", 3), weighted("c", 2)]);
    let leases: Vec<_> = (0..30).map(|_| lease(&pool)).collect();
    let held = |name| leases.iter().filter(|lease| lease.key_id().as_str() == name).count();
    assert_eq!(["a", "b", "c"].map(held), [15, 9, 6]);
}

#[tokio::test(start_paused = true)]
async fn equal_remainders_prefer_the_less_busy_key() {
    fastrand::seed(7);
    let pool = with(Selection::MostRemaining, ["a", "b"].map(key));
    assert_shares(&pool, 20_000, &[("a", 0.5), ("b", 0.5)]);
    let held = lease(&pool);
    let other = if held.key_id().as_str() == "a" { "b" } else { "a" };
    assert_shares(&pool, 20, &[(other, 1.0)]);
    drop(held);
    assert_shares(&pool, 20_000, &[("a", 0.5), ("b", 0.5)]);
}

#[tokio::test(start_paused = true)]
async fn most_remaining_samples_by_weight() {
    fastrand::seed(7);
    let pool = with(Selection::MostRemaining, [weighted("a", 2), weighted("b", 1), weighted("c", 1)]);
    assert_shares(&pool, 20_000, &[("a", 0.5), ("b", 0.25), ("c", 0.25)]);
}

#[tokio::test(start_paused = true)]
async fn every_policy_finds_the_one_usable_key_of_a_thousand() {
    for selection in ALL {
        let pool = with(selection, (0..1_000).map(|n| key(&n.to_string())));
        pool.disable(&id("777")).unwrap();
        while let Ok(lease) = pool.acquire(None) {
            lease.fail(&limit(HOUR), None);
        }
        pool.enable(&id("777")).unwrap();
        assert_shares(&pool, 20, &[("777", 1.0)]);
    }
}

#[tokio::test(start_paused = true)]
async fn backups_are_used_only_while_no_primary_is_usable() {
    for selection in ALL {
        let pool = with(selection, [key("x").backup(), key("a"), key("y").backup(), key("b")]);
        assert!(shares(&pool, 100).keys().all(|name| ["a", "b"].contains(&name.as_str())));
        for name in ["a", "b"] {
            while shown(&pool, name).faults == 0 {
                lease(&pool).fail(&limit(MINUTE), None);
            }
        }
        assert!(shares(&pool, 100).keys().all(|name| ["x", "y"].contains(&name.as_str())));
        advance(MINUTE).await;
        for _ in 0..2 {
            lease(&pool).succeed();
        }
        assert!(shares(&pool, 100).keys().all(|name| ["a", "b"].contains(&name.as_str())));
    }
}

#[tokio::test(start_paused = true)]
async fn backups_have_turns_among_themselves() {
    let pool = builder().key(key("a")).keys(["x", "y"].map(|name| key(name).backup())).build().unwrap();
    fail(&pool, "a", &limit(HOUR));
    assert_shares(&pool, 100, &[("x", 0.5), ("y", 0.5)]);
}

#[tokio::test(start_paused = true)]
async fn one_usable_key_of_ten_thousand_is_found() {
    let pool = with(Selection::RoundRobin, (0..10_000).map(|n| key(&n.to_string())));
    let leases: Vec<_> = (0..10_000).map(|_| lease(&pool)).collect();
    for (n, lease) in leases.into_iter().enumerate() {
        if n != 4_321 {
            lease.fail(&limit(MINUTE), None);
        }
    }
    assert_shares(&pool, 20, &[("4321", 1.0)]);
    advance(MINUTE).await;
    let names: BTreeSet<_> = (0..10_000)
        .map(|_| {
            let lease = lease(&pool);
            let name = lease.key_id().to_string();
            lease.succeed();
            name
        })
        .collect();
    assert!(names.len() > 9_900, "{}", names.len());
}
