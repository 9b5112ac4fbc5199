//! Limits that are learned from responses, with the headers that providers really send.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/pool.rs"]
mod support;

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode, Uri};
use serde_json::Value;
use support::{DAY, MINUTE, SECOND, key, model};
use tokio::time::{Instant, advance, sleep, timeout};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::limits::{Estimate, LimitStatus};
use tower_key_rotation::pool::{AcquireRequest, Lease, Selection};
use tower_key_rotation::provider::Window;
use tower_key_rotation::{KeyPool, Provider};

fn pool_at(provider: &str, names: &[&str]) -> KeyPool {
    let provider = Provider::preset(provider).unwrap();
    KeyPool::builder(provider).keys(names.iter().map(|name| key(name))).build().unwrap()
}

fn openai() -> KeyPool {
    pool_at("openai", &["a"])
}

/// Acquires a key and observes a response with these headers.
fn answer(pool: &KeyPool, headers: &[(&str, &str)]) {
    let lease = pool.acquire(None).unwrap();
    see(lease, headers);
}

fn see(mut lease: Lease, headers: &[(&str, &str)]) {
    lease.observe(StatusCode::OK, &head(headers), None);
    lease.succeed();
}

fn head(headers: &[(&str, &str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), value.parse().unwrap()))
        .collect()
}

/// A lease whose request is under way.
fn sent(pool: &KeyPool) -> Lease {
    let lease = pool.acquire(None).unwrap();
    let mut uri = Uri::from_static("https://api.openai.com/v1/models");
    lease.apply_key(&mut uri, &mut HeaderMap::new()).unwrap();
    lease
}

/// Whether two responses come in the order of their requests, for a provider with buckets and one with windows.
const EITHER_WAY: [(bool, &str); 4] =
    [(true, "openai"), (false, "openai"), (true, "mistral"), (false, "mistral")];

/// Observes the responses to two requests, in order or in reverse.
fn see_both(in_order: bool, first: (Lease, [(&str, &str); 3]), second: (Lease, [(&str, &str); 3])) {
    let answers = if in_order { [first, second] } else { [second, first] };
    answers.into_iter().for_each(|(lease, headers)| see(lease, &headers));
}

/// The headers for requests per minute.
fn requests<'a>(limit: &'a str, remaining: &'a str, reset: &'a str) -> [(&'static str, &'a str); 3] {
    [
        ("x-ratelimit-limit-requests", limit),
        ("x-ratelimit-remaining-requests", remaining),
        ("x-ratelimit-reset-requests", reset),
    ]
}

fn tokens<'a>(limit: &'a str, remaining: &'a str, reset: &'a str) -> [(&'static str, &'a str); 3] {
    [
        ("x-ratelimit-limit-tokens", limit),
        ("x-ratelimit-remaining-tokens", remaining),
        ("x-ratelimit-reset-tokens", reset),
    ]
}

fn limits(pool: &KeyPool) -> Vec<LimitStatus> {
    pool.snapshot().keys[0].limits.clone()
}

fn left(pool: &KeyPool) -> u64 {
    limits(pool)[0].remaining
}

/// Returns the number of requests that are admitted now.
fn let_in(pool: &KeyPool) -> usize {
    (0..1_000).take_while(|_| pool.acquire(None).map(Lease::succeed).is_ok()).count()
}

fn wait(pool: &KeyPool) -> Duration {
    pool.acquire(None).unwrap_err().retry_after().unwrap()
}

// === the headers of each provider ===

#[tokio::test(start_paused = true)]
async fn openais_reset_is_the_time_until_full() {
    let pool = openai();
    answer(&pool, &requests("10", "4", "36s"));
    assert_eq!(let_in(&pool), 4);
    assert!(wait(&pool) <= SECOND * 12, "{:?}", wait(&pool));
    advance(SECOND * 36).await;
    assert!((5..=6).contains(&let_in(&pool)), "not all at once");

    // Regression test: a header of 1m0.052s came with a real wait of half a second.
    let pool = openai();
    answer(&pool, &tokens("30000", "0", "1m0.052s"));
    let estimate = Estimate::new().input_tokens(247);
    let exhausted = pool.acquire(AcquireRequest::new().tokens(estimate)).unwrap_err();
    let wait = exhausted.retry_after().unwrap();
    assert!((SECOND / 4..SECOND).contains(&wait), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn openais_requests_may_be_those_of_a_day() {
    let pool = openai();
    answer(&pool, &requests("100", "99", "14m24s"));
    assert_eq!((limits(&pool)[0].window, let_in(&pool)), (Some(Window::DAY), 99));
    assert!(wait(&pool) <= Duration::from_secs(2 * 864));
}

#[tokio::test(start_paused = true)]
async fn anthropics_headers_are_read() {
    let pool = pool_at("anthropic", &["a"]);
    let instant = |ms: i64| {
        let now = i64::try_from(Timestamp::now().as_unix_ms()).unwrap();
        jiff::Timestamp::from_millisecond(now + ms).unwrap().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    let (past, soon) = (instant(-30_000), instant(2_000));
    answer(
        &pool,
        &[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", &past),
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
            ("anthropic-ratelimit-input-tokens-remaining", "29000"),
            ("anthropic-ratelimit-input-tokens-reset", &soon),
        ],
    );
    let known: Vec<_> = limits(&pool).iter().map(|limit| (limit.metric.as_str(), limit.limit)).collect();
    assert_eq!(known, [("requests", 50), ("input_tokens", 30_000)]);
    assert!(let_in(&pool) >= 49);
    advance(MINUTE + SECOND * 2).await;
    let estimate = Estimate::new().input_tokens(30_000);
    pool.acquire(AcquireRequest::new().tokens(estimate)).unwrap().succeed();
}

#[tokio::test(start_paused = true)]
async fn groqs_requests_are_those_of_a_day() {
    let pool = pool_at("groq", &["a"]);
    let headers = [requests("14400", "14370", "2m59.56s"), tokens("18000", "17997", "7.66ms")].concat();
    answer(&pool, &headers);
    let windows: Vec<_> = limits(&pool).iter().map(|limit| (limit.window, limit.remaining)).collect();
    assert_eq!(windows, [(Some(Window::DAY), 14_370), (Some(Window::MINUTE), 17_997)]);
    answer(&pool, &requests("14400", "0", "24h0m0s"));
    assert!(wait(&pool) <= SECOND * 12, "one comes back every six seconds");
}

#[tokio::test(start_paused = true)]
async fn azures_headers_are_read() {
    let pool = pool_at("azure", &["a"]);
    answer(&pool, &[requests("-1", "-1", "0"), tokens("-1", "-1", "0")].concat());
    assert!(limits(&pool).is_empty());
    let renewal = [("x-ratelimit-renewalperiod-requests", "60")];
    answer(&pool, &[&requests("10", "0", "41")[..], &renewal].concat());
    assert_eq!((left(&pool), let_in(&pool)), (0, 0));
    assert!(wait(&pool) <= SECOND * 41);
    advance(SECOND * 41).await;
    assert!(let_in(&pool) > 0);
}

#[tokio::test(start_paused = true)]
async fn togethers_zero_on_a_success_is_ignored() {
    let pool = pool_at("together", &["a"]);
    for _ in 0..3 {
        answer(
            &pool,
            &[("x-ratelimit-limit", "2"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")],
        );
    }
    assert!(limits(&pool).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wait_on_a_success_is_no_cooldown() {
    let pool = openai();
    let more = [("retry-after", "3600"), ("retry-after-ms", "3600000")];
    answer(&pool, &[&requests("10", "9", "6s")[..], &more].concat());
    assert_eq!(let_in(&pool), 9);
}

// === the moment that a header describes ===

#[tokio::test(start_paused = true)]
async fn the_response_to_the_later_request_counts() {
    for (in_order, provider) in EITHER_WAY {
        let pool = pool_at(provider, &["a"]);
        answer(&pool, &requests("10", "9", "6s"));
        let [first, second] = [pool.acquire(None).unwrap(), pool.acquire(None).unwrap()];
        // Another client has used four of the account meanwhile.
        let answers = [requests("10", "8", "12s"), requests("10", "3", "42s")];
        see_both(in_order, (first, answers[0]), (second, answers[1]));
        assert_eq!(left(&pool), 3, "{provider}, in order: {in_order}");
    }
}

#[tokio::test(start_paused = true)]
async fn overtaking_requests_are_both_counted() {
    for (in_order, provider) in EITHER_WAY {
        let pool = pool_at(provider, &["a"]);
        answer(&pool, &tokens("1000", "1000", "0s"));
        let ask = |input_tokens| AcquireRequest::new().tokens(Estimate::new().input_tokens(input_tokens));
        let large = pool.acquire(ask(500)).unwrap();
        advance(Duration::from_millis(1)).await;
        let small = pool.acquire(ask(10)).unwrap();
        let answers = [tokens("1000", "490", "30.6s"), tokens("1000", "990", "600ms")];
        see_both(in_order, (large, answers[0]), (small, answers[1]));
        assert_eq!(left(&pool) / 10, 48, "{provider}, in order: {in_order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_larger_remaining_amount_is_accepted() {
    let pool = openai();
    answer(&pool, &tokens("1000", "1000", "0s"));
    answer(&pool, &tokens("1000", "100", "54s"));
    advance(SECOND / 2).await;
    answer(&pool, &tokens("1000", "900", "6s"));
    assert_eq!(left(&pool), 900);
}

/// A refused request used nothing, so too much was deducted. But a bucket of one was full again when the next
/// request came, and the refund overflows it.
#[tokio::test(start_paused = true)]
async fn a_refund_is_not_used_twice() {
    let interval = Duration::from_millis(20);
    for (others, least) in [(0, Duration::ZERO), (1, interval)] {
        let pool = openai();
        answer(&pool, &requests("1", "0", "20ms"));
        advance(interval).await;
        let mut refused = sent(&pool);
        advance(interval).await;
        let _under_way: Vec<_> = (0..others).map(|_| pool.acquire(None).unwrap()).collect();
        refused.observe(StatusCode::TOO_MANY_REQUESTS, &head(&requests("1", "0", "1ms")), None);
        drop(refused);
        let wait = pool.acquire(None).err().and_then(|exhausted| exhausted.retry_after()).unwrap_or_default();
        assert!(least <= wait && wait < least + interval / 4, "{others}: {wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_limit_keeps_its_margin() {
    let (pool, interval) = (openai(), Duration::from_millis(20));
    for _ in 0..2 {
        answer(&pool, &requests("1", "0", "20ms"));
        assert_eq!(wait(&pool), interval);
        advance(interval).await;
    }
    let mut refused = sent(&pool);
    refused.observe(StatusCode::TOO_MANY_REQUESTS, &head(&requests("1", "0", "1ms")), None);
    drop(refused);
    for _ in 0..300 {
        advance(SECOND).await;
        answer(&pool, &requests("1", "0", "20ms"));
    }
    assert!(wait(&pool) > interval, "{:?}", wait(&pool));
    for _ in 0..300 {
        advance(wait(&pool)).await;
        answer(&pool, &requests("1", "0", "20ms"));
    }
    assert_eq!(wait(&pool), interval);
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_reserved() {
    let pool = openai();
    answer(&pool, &requests("10", "9", "6s"));
    let first = pool.acquire(None).unwrap();
    let under_way: Vec<_> = (0..3).map(|_| pool.acquire(None).unwrap()).collect();
    see(first, &requests("10", "8", "12s"));
    assert_eq!((left(&pool), let_in(&pool)), (5, 5), "the provider has not seen three yet");
    drop(under_way);
}

#[tokio::test(start_paused = true)]
async fn an_old_header_does_not_outlast_a_reset() {
    let pool = openai();
    for _ in 0..8 {
        answer(&pool, &requests("100", "90", "6s"));
    }
    let old = pool.acquire(None).unwrap();
    pool.reset_all();
    answer(&pool, &requests("100", "50", "30s"));
    see(old, &requests("100", "89", "6.6s"));
    answer(&pool, &requests("100", "2", "58.8s"));
    assert_eq!(left(&pool), 2);
}

// === no key is locked out ===

#[tokio::test(start_paused = true)]
async fn no_header_outlasts_its_reset() {
    let contradictory = [
        ("0", "0", "30"),
        ("10", "0", "30"),
        ("1", "0", "30"),
        ("10", "99", "30"),
        ("9000000000000000", "0", "30"),
        ("10", "0", "0"),
        ("0", "5", "30"),
    ];
    for provider in ["openai", "anthropic", "groq", "azure", "mistral", "xai", "fireworks"] {
        for (limit, remaining, reset) in contradictory {
            let pool = pool_at(provider, &["a"]);
            for _ in 0..2 {
                answer(&pool, &[requests(limit, remaining, reset), tokens(limit, remaining, reset)].concat());
                let said = format!("{provider} {limit} {remaining} {reset}");
                if let Err(exhausted) = pool.acquire(None) {
                    let wait = exhausted.retry_after().expect(&said);
                    assert!(wait <= SECOND * 30, "{said}: {wait:?}");
                    advance(wait).await;
                    drop(pool.acquire(None).expect(&said));
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_days_is_capped_at_one() {
    for provider in ["openai", "anthropic", "groq", "xai"] {
        for reset in ["26h", "18d", "432h0m0s", "1555200"] {
            for limit in ["0", "1", "1000"] {
                let pool = pool_at(provider, &["a"]);
                answer(&pool, &requests(limit, "0", reset));
                if let Err(exhausted) = pool.acquire(None) {
                    assert!(exhausted.retry_after().unwrap() <= DAY, "{provider} {reset} {limit}");
                    advance(DAY + SECOND).await;
                    drop(pool.acquire(None).unwrap());
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_scope_is_not_used() {
    let pool = pool_at("xai", &["a", "b"]);
    let lease = support::lease_of(&pool, "a", None);
    see(lease, &requests("10", "0", "20s"));
    let used = |pool: &KeyPool| {
        let names: Vec<_> = (0..10).map(|_| support::next(pool)).collect();
        names.iter().filter(|name| *name == "a").count()
    };
    assert_eq!(used(&pool), 0);
    advance(Duration::from_millis(19_900)).await;
    assert_eq!(used(&pool), 0);
    advance(Duration::from_millis(200)).await;
    assert_eq!(used(&pool), 5);
}

#[tokio::test(start_paused = true)]
async fn emptier_keys_are_used_last() {
    let provider = Provider::openai();
    let keys = ["a", "b"].map(key);
    let pool = KeyPool::builder(provider).keys(keys).selection(Selection::MostRemaining).build().unwrap();
    // The first one is chosen at random, but the second is the key with nothing in flight.
    let mut leases = [pool.acquire(None).unwrap(), pool.acquire(None).unwrap()];
    leases.sort_by_key(|lease| lease.key_id().clone());
    let [a, b] = leases;
    see(a, &requests("10", "1", "54s"));
    see(b, &requests("10", "8", "12s"));
    let names: Vec<_> = (0..8)
        .map(|_| {
            let lease = pool.acquire(None).unwrap();
            let name = lease.key_id().to_string();
            lease.succeed();
            name
        })
        .collect();
    assert_eq!(names[..7], ["b"; 7].map(str::to_owned));
    assert_eq!(let_in(&pool), 1, "and what is left is used in the end");
}

#[tokio::test(start_paused = true)]
async fn a_response_with_more_wakes_a_waiter() {
    let pool = openai();
    answer(&pool, &requests("10", "9", "6s"));
    let mut first = sent(&pool);
    advance(SECOND).await;
    let mut second = sent(&pool);
    first.observe(StatusCode::OK, &head(&requests("10", "0", "60s")), None);
    let began = Instant::now();
    let waiting = pool.acquire_by(None, began + MINUTE);
    tokio::pin!(waiting);
    assert!(timeout(SECOND, &mut waiting).await.is_err());
    second.observe(StatusCode::OK, &head(&requests("10", "6", "24s")), None);
    waiting.await.unwrap().succeed();
    assert_eq!(Instant::now() - began, SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_learned_pace_is_kept() {
    let pool = openai();
    answer(&pool, &tokens("40000", "20000", "500ms"));
    sleep(SECOND).await;
    answer(&pool, &tokens("40000", "39500", "13ms"));
    let ask = |input_tokens| AcquireRequest::new().tokens(Estimate::new().input_tokens(input_tokens));
    pool.acquire(ask(20_000)).unwrap().succeed();
    let exhausted = pool.acquire(ask(30_000)).unwrap_err();
    assert!(exhausted.retry_after().unwrap() <= SECOND, "{exhausted:?}");
}

// === the owner of a limit ===

#[tokio::test(start_paused = true)]
async fn limits_of_a_model_concern_no_other() {
    let pool = openai();
    let (big, small) = (model("big"), model("small"));
    let mut lease = pool.acquire(Some(&big)).unwrap();
    lease.observe(StatusCode::OK, &head(&requests("10", "0", "1m0s")), Some(&big));
    lease.succeed();
    assert!(pool.acquire(Some(&big)).is_err());
    pool.acquire(Some(&small)).unwrap().succeed();
    pool.acquire(None).unwrap().succeed();
}

#[tokio::test(start_paused = true)]
async fn one_limit_covers_all_keys_of_an_account() {
    let names = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let pool = pool_at("openai", &names);
    let model = model("m");
    let organisation = [("openai-organization", "acme")];
    let see = |lease: &mut Lease, remaining| {
        let headers = [&requests("10000", remaining, "6s")[..], &organisation].concat();
        lease.observe(StatusCode::OK, &head(&headers), Some(&model));
    };
    for _ in names {
        let mut lease = pool.acquire(Some(&model)).unwrap();
        see(&mut lease, "9000");
        lease.succeed();
    }
    let mut lease = pool.acquire(Some(&model)).unwrap();
    see(&mut lease, "0");
    lease.succeed();
    let exhausted = pool.acquire(Some(&model)).unwrap_err();
    assert!(exhausted.retry_after().unwrap() < SECOND);
    let of_model = pool.snapshot().keys.into_iter().map(|key| key.model_limits[0].limits[0].remaining);
    assert_eq!(of_model.collect::<Vec<_>>(), [0; 10]);
}

// === recorded responses ===

/// `TKR_CORPUS` names the file; without it, `../shared/corpus/dev.jsonl` beside the crate is used.
#[tokio::test(start_paused = true)]
async fn no_recorded_success_outlasts_its_reset() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/dev.jsonl");
    let path = std::env::var_os("TKR_CORPUS").map_or_else(beside, PathBuf::from);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no recorded responses at {}", path.display());
        return;
    };
    let (mut seen, mut telling) = (0, 0);
    for line in text.lines().filter(|line| !line.is_empty()) {
        let record: Value = serde_json::from_str(line).unwrap();
        if !(200..300).contains(&record["status"].as_u64().unwrap()) {
            continue;
        }
        seen += 1;
        telling += usize::from(observe(&record));
    }
    eprintln!("{seen} successes, {telling} of which tell of limits");
    assert!(telling > 0);
}

/// Returns whether the response reports limits.
fn observe(record: &Value) -> bool {
    let name = record["provider"].as_str().unwrap();
    let provider = Provider::preset(name).unwrap_or_else(|| Provider::compatible(name.to_owned()));
    let headers: Vec<_> = record["headers"].as_object().into_iter().flatten().collect();
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    // A time that the recording states lies in the past by now.
    let named = provider.limits(&head(&headers), b"", Timestamp::now());
    let longest =
        named.iter().map(|limit| limit.reset.unwrap_or_else(|| limit.window.map_or(DAY, Window::length)));
    let longest = longest.max().unwrap_or_default().min(DAY);
    let pool = KeyPool::builder(provider).key(key("a")).build().unwrap();
    answer(&pool, &headers);
    let wait = pool
        .acquire(None)
        .map_or_else(|exhausted| exhausted.retry_after().unwrap_or(Duration::MAX), |_| Duration::ZERO);
    assert!(wait <= longest, "{}: {wait:?}, {named:?}", record["id"]);
    !limits(&pool).is_empty()
}

/// Times of responses are stored in 32 bits, which wrap after seven weeks. A response after a month still counts as
/// the newer one.
#[tokio::test(start_paused = true)]
async fn a_response_after_weeks_counts() {
    for days in [1, 24, 25, 30, 40, 49] {
        let pool = openai();
        answer(&pool, &requests("10", "9", "6s"));
        advance(DAY * days).await;
        answer(&pool, &requests("10", "0", "60s"));
        assert_eq!(let_in(&pool), 0, "after {days} days");
    }
}
