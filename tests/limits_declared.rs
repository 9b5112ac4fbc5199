//! Limits that an operator declares.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/pool.rs"]
mod support;

use std::time::Duration;

use http::{HeaderMap, Uri};
use support::{DAY, HOUR, MINUTE, SECOND, builder, key, model};
use tokio::time::{Instant, advance};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::limits::{Estimate, LimitSource, LimitStatus, Quota, Zone};
use tower_key_rotation::pool::{AcquireRequest, Exhausted, KeyPoolBuilder, Lease};
use tower_key_rotation::provider::Window;
use tower_key_rotation::{KeyPool, Provider};

/// A pool of one key with these limits.
fn limited(quotas: impl IntoIterator<Item = Quota>) -> KeyPool {
    limited_at(Provider::openai(), quotas)
}

fn limited_at(provider: Provider, quotas: impl IntoIterator<Item = Quota>) -> KeyPool {
    quotas.into_iter().fold(at_test(provider).key(key("a")), KeyPoolBuilder::quota).build().unwrap()
}

fn at_test(provider: Provider) -> KeyPoolBuilder {
    KeyPool::builder(provider.with_origin("https://api.test".parse().unwrap()))
}

fn ask(pool: &KeyPool, tokens: u64) -> Result<Lease, Exhausted> {
    let estimate = Estimate::new().input_tokens(tokens);
    let lease = pool.acquire(AcquireRequest::new().tokens(estimate))?;
    let mut uri = Uri::from_static("https://api.test/v1/chat/completions");
    lease.apply_key(&mut uri, &mut HeaderMap::new()).unwrap();
    Ok(lease)
}

/// Returns the number of requests that are admitted now.
fn let_in(pool: &KeyPool) -> usize {
    (0..1_000).take_while(|_| ask(pool, 0).map(Lease::succeed).is_ok()).count()
}

fn wait(pool: &KeyPool) -> Duration {
    pool.acquire(None).unwrap_err().retry_after().unwrap()
}

fn left(pool: &KeyPool) -> Vec<u64> {
    readings(pool).iter().map(|reading| reading.remaining).collect()
}

fn readings(pool: &KeyPool) -> Vec<LimitStatus> {
    pool.snapshot().keys[0].limits.clone()
}

#[track_caller]
fn assert_near(one: Duration, other: Duration) {
    assert!(one.abs_diff(other) <= Duration::from_millis(1), "{one:?} {other:?}");
}

// === buckets ===

#[tokio::test(start_paused = true)]
async fn a_second_spaces_requests_unless_a_burst_is_allowed() {
    let pool = limited([Quota::requests(2).per_second()]);
    for _ in 0..3 {
        assert_eq!(let_in(&pool), 1);
        assert_eq!(wait(&pool), SECOND / 2);
        advance(Duration::from_millis(499)).await;
        assert_eq!(wait(&pool), Duration::from_millis(1));
        advance(Duration::from_millis(1)).await;
    }
    let pool = limited([Quota::requests(50).per_second().burst(10)]);
    assert_eq!((let_in(&pool), wait(&pool)), (10, Duration::from_millis(20)));
    advance(Duration::from_millis(100)).await;
    assert_eq!(let_in(&pool), 5);
    advance(HOUR).await;
    assert_eq!(let_in(&pool), 10, "no more than fits is saved");
}

#[tokio::test(start_paused = true)]
async fn a_minute_refills_evenly() {
    let pool = limited([Quota::requests(60).per_minute()]);
    assert_eq!((let_in(&pool), wait(&pool)), (60, SECOND));
    advance(SECOND * 10).await;
    assert_eq!(let_in(&pool), 10);
    let pool = limited([Quota::requests(24).per_day().rolling()]);
    assert_eq!((let_in(&pool), wait(&pool)), (24, HOUR));
}

// === windows ===

#[tokio::test(start_paused = true)]
async fn an_aligned_window_ends_on_the_clock() {
    let pool = limited([Quota::requests(3).per_minute().aligned()]);
    for _ in 0..3 {
        to_the_next(MINUTE).await;
        advance(SECOND * 50).await;
        assert_eq!(let_in(&pool), 3);
        assert_near(wait(&pool), SECOND * 10);
        advance(SECOND * 10).await;
        assert_eq!(let_in(&pool), 3, "all at once, ten seconds after the last");
        assert_near(wait(&pool), MINUTE);
    }
}

async fn to_the_next(window: Duration) {
    let length = window.as_millis() as u64;
    let over = Timestamp::now().as_unix_ms() % length;
    advance(Duration::from_millis(length - over)).await;
}

#[tokio::test(start_paused = true)]
async fn a_day_ends_at_the_providers_midnight() {
    let gemini = limited_at(Provider::gemini(), [Quota::requests(3).per_day()]);
    let openai = limited([Quota::requests(3).per_day()]);
    let own = limited([Quota::requests(3).per_day().resets_at_midnight(Zone::pacific())]);
    for (pool, zone) in [(gemini, Zone::pacific()), (openai, Zone::utc()), (own, Zone::pacific())] {
        let mut hours = std::collections::BTreeMap::<u64, u32>::new();
        for _ in 0..370 {
            assert_eq!(let_in(&pool), 3);
            let now = Timestamp::now();
            let midnight = zone.next_midnight(now);
            assert_near(wait(&pool), midnight.saturating_since(now));
            assert_near(
                readings(&pool)[0].full_at.unwrap().saturating_since(now),
                midnight.saturating_since(now),
            );
            advance(midnight.saturating_since(now) - SECOND).await;
            assert_eq!(let_in(&pool), 0);
            advance(SECOND * 2).await;
            let next = zone.next_midnight(Timestamp::now());
            *hours.entry(next.saturating_since(midnight).as_secs() / 3_600).or_default() += 1;
        }
        let changes = [hours.get(&23), hours.get(&25)].map(|days| days.copied().unwrap_or(0));
        assert_eq!(changes.map(|days| days > 0), [zone == Zone::pacific(); 2], "{hours:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn yesterdays_usage_is_not_returned_today() {
    let pool = limited([Quota::requests(3).per_day(), Quota::tokens(100).per_day()]);
    to_the_next(DAY).await;
    advance(DAY - SECOND).await;
    let unsent = pool.acquire(AcquireRequest::new().tokens(tokens(30))).unwrap();
    let refused = ask(&pool, 40).unwrap();
    advance(SECOND * 2).await;
    assert_eq!(left(&pool), [3, 100], "a new day is whole, whatever is under way");
    ask(&pool, 50).unwrap().succeed();
    assert_eq!(left(&pool), [2, 50]);
    drop(unsent);
    refused.fail(&support::limit(SECOND), None);
    assert_eq!(left(&pool), [2, 50]);
}

fn tokens(count: u64) -> Estimate {
    Estimate::new().input_tokens(count)
}

// === the scope of a limit ===

#[tokio::test(start_paused = true)]
async fn each_model_of_a_pattern_has_the_whole_amount() {
    let pool = limited([Quota::requests(2).per_day().for_models("gemini-2.5-*")]);
    for name in ["gemini-2.5-pro", "gemini-2.5-flash"] {
        let model = model(name);
        for _ in 0..2 {
            pool.acquire(Some(&model)).unwrap().succeed();
        }
        assert!(pool.acquire(Some(&model)).is_err(), "{name}");
    }
    let other = model("gemini-2.0-flash");
    for _ in 0..5 {
        pool.acquire(Some(&other)).unwrap().succeed();
        pool.acquire(None).unwrap().succeed();
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_a_key_holds_beside_that_of_its_account() {
    let of = |name: &str, amount| key(name).account("org").quota(Quota::requests(amount).per_day());
    let account = Quota::requests(5).per_day();
    let build = |keys: Vec<_>| builder().account_quota("org", account.clone()).keys(keys).build().unwrap();
    let pool = build(vec![of("a", 2), of("b", 9)]);
    let used = |pool: &KeyPool| {
        let names = (0..9).filter_map(|_| pool.acquire(None).ok()).map(|lease| {
            let name = lease.key_id().to_string();
            lease.succeed();
            name
        });
        let names: Vec<_> = names.collect();
        ["a", "b"].map(|name| names.iter().filter(|used| *used == name).count())
    };
    assert_eq!(used(&pool), [2, 3]);
    assert_eq!(used(&build(vec![of("a", 2), of("b", 1)])), [2, 1], "the account has two left");
}

#[tokio::test(start_paused = true)]
async fn a_limit_for_models_may_be_of_one_key() {
    let limited = key("a").account("org").quota(Quota::requests(1).per_day().for_models("m*"));
    let pool = builder().keys([limited, key("b").account("org")]).build().unwrap();
    let model = model("m-1");
    let used = (0..6).map(|_| {
        let lease = pool.acquire(Some(&model)).unwrap();
        let name = lease.key_id().to_string();
        lease.succeed();
        name
    });
    assert_eq!(used.filter(|name| name == "a").count(), 1);
    assert_eq!(pool.acquire(None).unwrap().key_id().as_str(), "a", "for any other model it is usable");
}

// === declared and learned ===

#[tokio::test(start_paused = true)]
async fn the_stricter_of_declared_and_learned_applies() {
    for (amount, allowed) in [(5, 4), (50, 9)] {
        let pool = limited([Quota::requests(amount).per_day()]);
        let mut lease = pool.acquire(None).unwrap();
        lease.observe(http::StatusCode::OK, &of_openai([10, 9], "6s"), None);
        lease.succeed();
        let sources: Vec<_> = readings(&pool).iter().map(|reading| reading.source).collect();
        assert_eq!(sources, [LimitSource::Declared, LimitSource::Learned]);
        assert_eq!(let_in(&pool), allowed);
    }
}

/// The headers for the limit and the remaining requests per minute.
fn of_openai([limit, remaining]: [u64; 2], reset: &str) -> HeaderMap {
    let headers = [
        ("x-ratelimit-limit-requests", limit.to_string()),
        ("x-ratelimit-remaining-requests", remaining.to_string()),
        ("x-ratelimit-reset-requests", reset.to_owned()),
    ];
    headers
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect::<HeaderMap>()
}

// === edge cases ===

#[tokio::test(start_paused = true)]
async fn an_oversized_request_passes_a_full_limit() {
    for quota in [Quota::tokens(100).per_minute(), Quota::tokens(100).per_day()] {
        let pool = limited([quota]);
        ask(&pool, 1_000_000).unwrap().succeed();
        let exhausted = ask(&pool, 2).unwrap_err();
        assert!(exhausted.retry_after().unwrap() <= DAY, "it takes what there is, and no more");
        advance(exhausted.retry_after().unwrap() + Duration::from_millis(1)).await;
        ask(&pool, 2).unwrap().succeed();
        assert!(ask(&pool, 1_000_000).is_err(), "not when something is taken");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_cost_gets_the_correct_wait() {
    let pool = limited([Quota::tokens(600).per_minute()]);
    ask(&pool, 600).unwrap().succeed();
    let least = wait(&pool);
    assert!(!least.is_zero());
    advance(least).await;
    pool.acquire(None).unwrap().succeed();
}

#[tokio::test(start_paused = true)]
async fn no_estimate_is_too_large_to_be_counted() {
    for quota in [Quota::tokens(100).per_minute(), Quota::tokens(100).per_day()] {
        let pool = limited([quota]);
        ask(&pool, 60).unwrap().succeed();
        assert!(ask(&pool, u64::MAX).is_err());
        advance(DAY).await;
        drop(pool.acquire(AcquireRequest::new().tokens(tokens(u64::MAX))).unwrap());
        ask(&pool, 60).unwrap().succeed();
        assert_eq!(left(&pool), [40]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_is_never_waited_for() {
    for quota in [
        Quota::requests(0).per_second(),
        Quota::requests(0).per_minute(),
        Quota::requests(0).per_day(),
        Quota::requests(0).per_minute().aligned(),
        Quota::concurrent(0),
    ] {
        let pool = limited([quota.clone()]);
        let exhausted = pool.acquire(None).unwrap_err();
        assert_eq!((exhausted.retry_after(), exhausted.is_probing()), (None, false), "{quota:?}");
        let began = Instant::now();
        assert!(pool.acquire_by(None, began + HOUR).await.is_err());
        assert_eq!(Instant::now(), began, "{quota:?}");
        advance(DAY * 2).await;
        assert!(pool.acquire(None).is_err(), "{quota:?}");
    }
    // A limit that is closed for one model is open for the rest.
    let pool = limited([Quota::requests(0).per_day().for_models("big-*")]);
    assert!(pool.acquire(Some(&model("big-1"))).is_err());
    pool.acquire(Some(&model("small-1"))).unwrap().succeed();
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_that_of_the_earliest_key() {
    let by = |name: &str, seconds| key(name).quota(Quota::requests(1).per(Window::from_secs(seconds)));
    let pool = at_test(Provider::openai())
        .keys([by("a", 90), by("b", 40)])
        .quota(Quota::requests(2).per_second())
        .build()
        .unwrap();
    assert_eq!(let_in(&pool), 2);
    assert_eq!(wait(&pool), SECOND * 40);
    advance(SECOND * 40).await;
    let lease = pool.acquire(None).unwrap();
    assert_eq!(lease.key_id().as_str(), "b");
    lease.succeed();
    assert_eq!(wait(&pool), SECOND * 40);
    advance(SECOND * 40).await;
    assert_eq!(let_in(&pool), 1);
    assert_eq!(wait(&pool), SECOND * 10);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_needs_more_waits_longer() {
    let pool = limited([Quota::tokens(600).per_minute()]);
    ask(&pool, 600).unwrap().succeed();
    assert_eq!(ask(&pool, 10).unwrap_err().retry_after(), Some(SECOND));
    assert_eq!(ask(&pool, 300).unwrap_err().retry_after(), Some(SECOND * 30));
    assert_eq!(ask(&pool, 6_000).unwrap_err().retry_after(), Some(MINUTE));
}

// === refunds ===

#[tokio::test(start_paused = true)]
async fn an_unsent_request_returns_everything() {
    let quotas = [
        Quota::requests(10).per_minute(),
        Quota::requests(10).per_day(),
        Quota::tokens(100).per_minute(),
        Quota::concurrent(3),
    ];
    let pool = limited(quotas);
    let lease = pool.acquire(AcquireRequest::new().tokens(tokens(40))).unwrap();
    assert_eq!(left(&pool), [9, 9, 60, 2]);
    drop(lease);
    assert_eq!(left(&pool), [10, 10, 100, 3]);
    // A request that was sent and then abandoned may have been executed.
    drop(ask(&pool, 40).unwrap());
    assert_eq!(left(&pool), [9, 9, 60, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_returns_its_tokens() {
    let pool = limited([Quota::requests(10).per_day(), Quota::tokens(100).per_day(), Quota::concurrent(3)]);
    ask(&pool, 30).unwrap().succeed();
    ask(&pool, 40).unwrap().fail(&support::limit(SECOND), None);
    assert_eq!(left(&pool), [8, 70, 3]);
    advance(SECOND).await;
    // A caller that does not use `apply_key` may settle its requests too.
    let lease = pool.acquire(AcquireRequest::new().tokens(tokens(40))).unwrap();
    lease.fail(&support::limit(SECOND), None);
    assert_eq!(left(&pool)[1], 70);
}

#[tokio::test(start_paused = true)]
async fn an_unsent_request_wakes_a_waiter() {
    for quota in [Quota::concurrent(1), Quota::requests(1).per_day(), Quota::requests(1).per_minute()] {
        let pool = limited([quota.clone()]);
        let unsent = pool.acquire(None).unwrap();
        let began = Instant::now();
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.acquire_by(None, began + DAY * 2).await.map(Lease::succeed) }
        });
        tokio::time::sleep(SECOND).await;
        drop(unsent);
        waiting.await.unwrap().unwrap();
        assert_eq!(Instant::now(), began + SECOND, "{quota:?}");
    }
}

// === operators ===

#[tokio::test(start_paused = true)]
async fn a_reset_restores_declared_limits() {
    let quotas = || [Quota::requests(3).per_day(), Quota::requests(60).per_minute().burst(2)];
    let reset = |pool: &KeyPool| pool.reset(&"a".into());
    let reset_quota = |pool: &KeyPool| pool.reset_quota(&"a".into(), None);
    for operate in [&reset as &dyn Fn(&KeyPool) -> _, &reset_quota] {
        let pool = limited(quotas());
        assert_eq!(let_in(&pool), 2, "the burst");
        operate(&pool).unwrap();
        assert_eq!(let_in(&pool), 2);
        advance(MINUTE).await;
        assert_eq!(let_in(&pool), 1, "of the day");
        operate(&pool).unwrap();
        assert_eq!(let_in(&pool), 2, "nothing is counted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_reset_for_one_model_and_cooldowns_stay() {
    let (small, large) = (model("small"), model("large"));
    let pool = limited([Quota::requests(1).per_day().for_models("*")]);
    for name in [&small, &large] {
        pool.acquire(Some(name)).unwrap().succeed();
        assert!(pool.acquire(Some(name)).is_err());
    }
    pool.reset_quota(&"a".into(), Some(&small)).unwrap();
    assert!(pool.acquire(Some(&large)).is_err());
    pool.acquire(Some(&small)).unwrap().succeed();
    pool.cool_down(&"a".into(), None, MINUTE).unwrap();
    pool.reset_quota(&"a".into(), None).unwrap();
    assert_eq!(pool.acquire(Some(&small)).unwrap_err().retry_after(), Some(MINUTE));
    assert!(pool.reset_quota(&"x".into(), None).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_reset_keeps_requests_in_flight() {
    let pool = limited([Quota::concurrent(1)]);
    let lease = ask(&pool, 0).unwrap();
    pool.reset(&"a".into()).unwrap();
    assert!(ask(&pool, 0).is_err());
    drop(lease);
    assert!(ask(&pool, 0).is_ok());
}
