//! Which of the usable keys is next.
#![expect(clippy::unwrap_used, reason = "the helpers belong to the tests")]

#[path = "support/pool.rs"]
mod support;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use tokio::time::advance;
use tower_key_rotation::key::ApiKey;
use tower_key_rotation::pool::{KeyPool, Selection};

use self::support::*;

fn weighted(name: &str, weight: u32) -> ApiKey {
    key(name).weight(NonZeroU32::new(weight).unwrap())
}

fn with(selection: Selection, keys: impl IntoIterator<Item = ApiKey>) -> KeyPool {
    builder().keys(keys).selection(selection).build().unwrap()
}

/// How often each key is next.
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
async fn the_turn_of_a_benched_key_does_not_fall_to_its_neighbour() {
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
            lease.fault(&limit(HOUR), None);
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
async fn weights_hold_among_those_that_are_left() {
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
async fn by_chance_each_key_is_chosen_as_often_as_its_weight_says() {
    fastrand::seed(7);
    let pool = with(Selection::Random, [weighted("a", 2), weighted("b", 1), weighted("c", 1)]);
    assert_shares(&pool, 20_000, &[("a", 0.5), ("b", 0.25), ("c", 0.25)]);
    fail(&pool, "b", &limit(HOUR));
    assert_shares(&pool, 20_000, &[("a", 2.0 / 3.0), ("c", 1.0 / 3.0)]);
}

#[tokio::test(start_paused = true)]
async fn backups_are_used_only_while_no_primary_is_usable() {
    for selection in [Selection::RoundRobin, Selection::InOrder, Selection::Random] {
        let pool = with(selection, [key("x").backup(), key("a"), key("y").backup(), key("b")]);
        assert!(shares(&pool, 100).keys().all(|name| ["a", "b"].contains(&name.as_str())));
        for name in ["a", "b"] {
            while shown(&pool, name).faults == 0 {
                lease(&pool).fault(&limit(MINUTE), None);
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
async fn one_usable_key_of_ten_thousand_is_found_and_cooldowns_end_without_a_task() {
    let pool = with(Selection::RoundRobin, (0..10_000).map(|n| key(&n.to_string())));
    let leases: Vec<_> = (0..10_000).map(|_| lease(&pool)).collect();
    for (n, lease) in leases.into_iter().enumerate() {
        if n != 4_321 {
            lease.fault(&limit(MINUTE), None);
        }
    }
    assert_shares(&pool, 20, &[("4321", 1.0)]);
    advance(MINUTE).await;
    let names: std::collections::BTreeSet<_> = (0..10_000)
        .map(|_| {
            let lease = lease(&pool);
            let name = lease.key_id().to_string();
            lease.succeed();
            name
        })
        .collect();
    assert!(names.len() > 9_900, "{}", names.len());
}
