//! The length of a key's cooldown, and the reports that may change it.

#[path = "support/pool.rs"]
mod support;

use std::time::Duration;

use tokio::time::advance;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::pool::{Backoff, Cooldowns, KeyState};

use self::support::*;

// === hints ===

#[tokio::test(start_paused = true)]
async fn a_cooldown_lasts_as_stated() {
    let pool = pool(&["a"]);
    lease(&pool).fail(&limit(20 * SECOND), None);
    assert_eq!(wait(&pool), Some(20 * SECOND));
    assert_eq!(shown(&pool, "a").state, KeyState::RateLimited);
    advance(20 * SECOND - Duration::from_millis(1)).await;
    assert_eq!(wait(&pool), Some(Duration::from_millis(1)));
    advance(Duration::from_millis(1)).await;
    assert_eq!(shown(&pool, "a").state, KeyState::Available);
    assert!(lease(&pool).is_probe());
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_believed_up_to_a_bound() {
    let cases = [
        (Reason::RateLimited, 18 * DAY, 10 * MINUTE),
        (Reason::RateLimited, 10 * MINUTE, 10 * MINUTE),
        (Reason::QuotaExceeded, 18 * DAY, DAY),
        (Reason::QuotaExceeded, 5 * HOUR, 5 * HOUR),
        (Reason::Forbidden, 18 * DAY, DAY),
        (Reason::RateLimited, Duration::MAX, 10 * MINUTE),
        (Reason::QuotaExceeded, Duration::MAX, DAY),
        (Reason::Forbidden, Duration::MAX, DAY),
        (Reason::RateLimited, Duration::from_nanos(1), Duration::from_millis(1)),
        (Reason::Overloaded, HOUR, 10 * MINUTE),
    ];
    for (reason, hint, expected) in cases {
        let pool = pool(&["a"]);
        let penalty = lease(&pool).fail(&Fault::new(reason, Scope::Key).with_retry_after(hint), None);
        assert_eq!(penalty.unwrap().wait(), Some(expected), "{reason} {hint:?}");
        assert_eq!(wait(&pool), Some(expected), "{reason} {hint:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_zero_is_no_hint() {
    let pool = pool(&["a"]);
    lease(&pool).fail(&limit(Duration::ZERO), None);
    assert!(wait(&pool).unwrap() >= SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_unbounded_clamp_never_panics() {
    let cooldowns = Cooldowns::default().rate_clamp(Duration::MAX);
    let pool = builder().key(key("a")).cooldowns(cooldowns).build().unwrap();
    lease(&pool).fail(&limit(Duration::MAX), None);
    assert_eq!(wait(&pool), None);
    pool.reset(&id("a")).unwrap();
    assert_eq!(next(&pool), "a");
}

// === without a hint ===

#[tokio::test(start_paused = true)]
async fn without_a_hint_the_wait_doubles_up_to_a_cap() {
    let pool = pool(&["a"]);
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        lease(&pool).fail(&unhinted(), None);
        let wait = wait(&pool).unwrap();
        let base = seconds * SECOND;
        assert!(
            wait >= base && wait <= base.mul_f64(1.25) + Duration::from_millis(1),
            "{seconds} s: {wait:?}"
        );
        advance(wait).await;
    }
}

#[tokio::test(start_paused = true)]
async fn cooldowns_have_jitter() {
    let names: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    let pool = builder().keys(names.iter().map(|name| key(name))).build().unwrap();
    let mut waits: Vec<_> =
        names.iter().map(|_| lease(&pool).fail(&unhinted(), None).unwrap().wait()).collect();
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 10, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_success_resets_the_doubling() {
    let pool = pool(&["a"]);
    for _ in 0..3 {
        lease(&pool).fail(&unhinted(), None);
        advance(wait(&pool).unwrap()).await;
    }
    lease(&pool).succeed();
    lease(&pool).fail(&unhinted(), None);
    assert!(wait(&pool).unwrap() <= SECOND.mul_f64(1.25) + Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn quotas_and_refusals_cool_for_an_hour() {
    for reason in [Reason::QuotaExceeded, Reason::Forbidden] {
        let pool = pool(&["a"]);
        for hours in [1, 2, 4, 8, 16, 24, 24] {
            lease(&pool).fail(&Fault::new(reason, Scope::Key), None);
            let wait = wait(&pool).unwrap();
            assert!(wait >= hours * HOUR && wait <= hours * HOUR * 5 / 4 + SECOND, "{reason}: {wait:?}");
            advance(wait).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fixed_cooldown_overrules_hints() {
    let quarter = 15 * MINUTE;
    let pool = builder().key(key("a")).cooldowns(Cooldowns::default().fixed(quarter)).build().unwrap();
    for fault in [limit(SECOND), unhinted(), Fault::new(Reason::QuotaExceeded, Scope::Key)] {
        lease(&pool).fail(&fault, None);
        assert_eq!(wait(&pool), Some(quarter));
        advance(quarter).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_time_can_be_configured() {
    let cooldowns = Cooldowns::default()
        .rate(Backoff::new(3 * SECOND, 3 * SECOND))
        .quota(Backoff::new(7 * SECOND, 7 * SECOND))
        .forbidden(Backoff::new(11 * SECOND, 11 * SECOND))
        .rate_clamp(5 * SECOND)
        .quota_clamp(9 * SECOND);
    let expected = [
        (Reason::RateLimited, None, 3),
        (Reason::RateLimited, Some(MINUTE), 5),
        (Reason::QuotaExceeded, None, 7),
        (Reason::QuotaExceeded, Some(MINUTE), 9),
        (Reason::Forbidden, None, 11),
    ];
    for (reason, hint, seconds) in expected {
        let pool = builder().key(key("a")).cooldowns(cooldowns).build().unwrap();
        lease(&pool).fail(&Fault::new(reason, Scope::Key).with_retry_after(hint), None);
        let wait = wait(&pool).unwrap();
        assert!(wait >= seconds * SECOND && wait <= seconds * SECOND * 5 / 4 + SECOND, "{reason}: {wait:?}");
    }
}

// === many reports ===

#[tokio::test(start_paused = true)]
async fn the_longer_of_two_cooldowns_counts() {
    for (first, second) in [(5, 30), (30, 5)] {
        let pool = pool(&["a"]);
        let (one, two) = (lease(&pool), lease(&pool));
        one.fail(&limit(first * SECOND), None);
        two.fail(&limit(second * SECOND), None);
        assert_eq!(wait(&pool), Some(30 * SECOND));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_never_shortens_a_cooldown() {
    let pool = pool(&["a"]);
    let (one, two) = (lease(&pool), lease(&pool));
    one.fail(&limit(SECOND), None);
    advance(SECOND).await;
    let probe = lease(&pool);
    two.fail(&limit(MINUTE), None);
    probe.fail(&limit(SECOND), None);
    assert_eq!(wait(&pool), Some(MINUTE));
}

#[tokio::test(start_paused = true)]
async fn simultaneous_refusals_count_once() {
    let pool = pool(&["a"]);
    let leases: Vec<_> = (0..50).map(|_| lease(&pool)).collect();
    leases.into_iter().for_each(|lease| drop(lease.fail(&unhinted(), None)));
    let first = wait(&pool).unwrap();
    assert!(first <= SECOND.mul_f64(1.25) + Duration::from_millis(1), "{first:?}");
    assert_eq!(shown(&pool, "a").faults, 50);

    advance(first).await;
    lease(&pool).fail(&unhinted(), None);
    let second = wait(&pool).unwrap();
    assert!(second >= 2 * SECOND && second <= Duration::from_millis(2_501), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_late_failure_starts_no_cooldown() {
    let pool = pool(&["a"]);
    let (one, late) = (lease(&pool), lease(&pool));
    one.fail(&limit(SECOND), None);
    advance(SECOND).await;
    lease(&pool).succeed();
    assert!(late.fail(&limit(MINUTE), None).is_none(), "nobody was benched");
    assert_eq!(next(&pool), "a");
    assert_eq!(shown(&pool, "a").state, KeyState::Available);
}

#[tokio::test(start_paused = true)]
async fn a_late_success_ends_no_newer_cooldown() {
    let pool = pool(&["a"]);
    let (early, one) = (lease(&pool), lease(&pool));
    one.fail(&limit(MINUTE), None);
    early.succeed();
    assert_eq!(wait(&pool), Some(MINUTE));

    advance(MINUTE).await;
    let probe = lease(&pool);
    pool.reset(&id("a")).unwrap();
    lease(&pool).fail(&limit(HOUR), None);
    probe.succeed();
    assert_eq!(wait(&pool), Some(10 * MINUTE), "the probe was of an older bench");
}

// === undoing ===

#[tokio::test(start_paused = true)]
async fn an_undone_cooldown_leaves_no_trace() {
    let pool = pool(&["a"]);
    let penalty = lease(&pool).fail(&Fault::new(Reason::Forbidden, Scope::Key), None).unwrap();
    assert!(wait(&pool).unwrap() >= HOUR);
    penalty.undo();
    lease(&pool).fail(&unhinted(), None);
    assert!(wait(&pool).unwrap() <= SECOND.mul_f64(1.25) + Duration::from_millis(1), "first strike");
}

#[tokio::test(start_paused = true)]
async fn an_undone_probe_is_probed_again() {
    let pool = pool(&["a"]);
    lease(&pool).fail(&limit(SECOND), None);
    advance(SECOND).await;
    let penalty = lease(&pool).fail(&Fault::new(Reason::Forbidden, Scope::Key), None).unwrap();
    penalty.undo();
    assert!(lease(&pool).is_probe());
}

#[tokio::test(start_paused = true)]
async fn undoing_undoes_nothing_newer() {
    let pool = pool(&["a"]);
    let penalty = lease(&pool).fail(&limit(SECOND), None).unwrap();
    advance(SECOND).await;
    lease(&pool).fail(&limit(MINUTE), None);
    penalty.undo();
    assert_eq!(wait(&pool), Some(MINUTE));
}

#[tokio::test(start_paused = true)]
async fn undoing_keeps_a_late_reports_cooldown() {
    let pool = pool(&["a"]);
    let (one, late) = (lease(&pool), lease(&pool));
    let penalty = one.fail(&limit(SECOND), None).unwrap();
    late.fail(&limit(MINUTE), None);
    penalty.undo();
    assert_eq!(wait(&pool), Some(MINUTE));
}

#[tokio::test(start_paused = true)]
async fn an_undo_outlives_its_pool() {
    let pool = pool(&["a"]);
    let penalty = lease(&pool).fail(&limit(SECOND), None).unwrap();
    drop(pool);
    assert_eq!(penalty.wait(), Some(SECOND));
    penalty.undo();
}
