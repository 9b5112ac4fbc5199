//! Absurd limit headers: no header stops a pool, not even in builds with overflow checks.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/pool.rs"]
mod support;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use proptest::prelude::*;
use proptest::sample::select;
use support::{DAY, key, model};
use tokio::time::advance;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::limits::{Estimate, Quota};
use tower_key_rotation::pool::{AcquireRequest, KeyPoolBuilder, Lease};
use tower_key_rotation::provider::Window;
use tower_key_rotation::{KeyPool, Provider};

const NAMES: [&str; 27] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-renewalperiod-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-renewalperiod-tokens",
    "x-ratelimit-limit-req-4294967297-month",
    "x-ratelimit-remaining-req-4294967297-month",
    "x-ratelimit-limit-req-10-second",
    "x-ratelimit-remaining-req-10-second",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-output-tokens-limit",
    "anthropic-ratelimit-output-tokens-remaining",
    "ratelimit",
    "ratelimit-policy",
    "x-trial-endpoint-call-limit",
    "x-endpoint-monthly-call-limit",
    "retry-after",
    "retry-after-ms",
    "x-api-warning",
];

const VALUES: [&str; 34] = [
    "0",
    "-0.0",
    "1",
    "2",
    "-1",
    "0.5",
    "100",
    "4294967294",
    "4294967295",
    "4294967296",
    "8999999999999999",
    "18446744073709551615",
    "18446744073709551616",
    "1e300",
    "1e-300",
    "NaN",
    "inf",
    "-inf",
    "0s",
    "1ms",
    "2147.483904s",
    "2147.483904",
    "4294967.295s",
    "9223372036854775807s",
    "9223372036854775807",
    "292277026596y",
    "1970-01-01T00:00:00Z",
    "2026-11-27T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "-009999-01-02T01:59:59Z",
    "\"api\";r=4294967294;t=31536000",
    "\"api\";q=4294967295;w=18446744073709551615",
    "rate limits of 18446744073709551615 RPM and 18446744073709551615K TPM",
    "",
];

const PROVIDERS: [&str; 6] = ["openai", "anthropic", "gemini", "mistral", "azure", "together"];

/// The events of one attempt.
#[derive(Clone, Debug)]
struct Step {
    headers: Vec<(&'static str, &'static str)>,
    model: Option<&'static str>,
    tokens: u64,
    end: End,
    /// The attempt ends after the next one has begun.
    late: bool,
    pause: Duration,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Served,
    Refused(Option<Duration>),
    Dropped,
    Unsent,
}

fn step() -> impl Strategy<Value = Step> {
    let headers = proptest::collection::vec((select(&NAMES[..]), select(&VALUES[..])), 0..8);
    let hints =
        vec![None, Some(Duration::from_millis(1)), Some(Duration::from_millis(900)), Some(Duration::MAX)];
    let ends = prop_oneof![
        3 => Just(End::Served),
        2 => select(hints).prop_map(End::Refused),
        1 => Just(End::Dropped),
        1 => Just(End::Unsent),
    ];
    let tokens = select(vec![0, 1, 1_000, u64::from(u32::MAX), u64::MAX]);
    let models = select(vec![None, Some("m"), Some("M"), Some("other")]);
    let pauses = select(vec![0, 1, 20, 1_000, 61_000, 90_000_000]).prop_map(Duration::from_millis);
    (headers, models, tokens, ends, any::<bool>(), pauses).prop_map(
        |(headers, model, tokens, end, late, pause)| Step { headers, model, tokens, end, late, pause },
    )
}

fn pool_at(provider: &str, declared: bool) -> KeyPool {
    let provider = Provider::preset(provider).unwrap_or_else(|| Provider::compatible(provider.to_owned()));
    let pool = KeyPool::builder(provider).key(key("a")).warn_at([0.0, 0.5, 1.0]);
    let quotas = [
        Quota::requests(u64::MAX).per_second(),
        Quota::tokens(u64::MAX - 1).per_minute(),
        Quota::tokens(u64::MAX).per(Window::from_secs(u64::MAX)),
        Quota::requests(u64::MAX).per_day(),
        Quota::tokens(u64::MAX).per_minute().aligned().for_models("m"),
        Quota::concurrent(u32::MAX),
    ];
    let quotas = quotas.into_iter().filter(|_| declared);
    quotas.fold(pool, KeyPoolBuilder::quota).build().unwrap()
}

fn head(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    let headers = headers.iter().map(|(name, value)| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    });
    headers.collect()
}

fn end(mut lease: Lease, step: &Step) {
    let asked = step.model.map(model);
    if !matches!(step.end, End::Unsent) {
        let mut uri: Uri = "https://x.test/v1/models".parse().unwrap();
        let _ = lease.apply_key(&mut uri, &mut HeaderMap::new());
    }
    let status = match step.end {
        End::Served => StatusCode::OK,
        End::Refused(_) => StatusCode::TOO_MANY_REQUESTS,
        End::Dropped | End::Unsent => return drop(lease),
    };
    lease.observe(status, &head(&step.headers), asked.as_ref());
    match step.end {
        End::Refused(hint) => {
            let fault = Fault::new(Reason::RateLimited, Scope::AccountModel);
            let fault = hint.map_or_else(|| fault.clone(), |hint| fault.clone().with_retry_after(hint));
            drop(lease.fail(&fault, asked.as_ref()));
        }
        _ => lease.succeed(),
    }
}

async fn run(provider: &str, declared: bool, steps: &[Step]) {
    let pool = pool_at(provider, declared);
    let mut late: Vec<(Lease, Step)> = Vec::new();
    for step in steps {
        let asked = step.model.map(model);
        let ask = AcquireRequest::from(asked.as_ref());
        let ask = ask.tokens(Estimate::new().input_tokens(step.tokens).output_tokens(step.tokens));
        if let Ok(lease) = pool.acquire(ask) {
            if step.late {
                late.push((lease, step.clone()));
            } else {
                end(lease, step);
            }
        }
        late.pop().into_iter().for_each(|(lease, step)| end(lease, &step));
        pool.snapshot();
        advance(step.pause).await;
    }
    late.into_iter().for_each(|(lease, step)| end(lease, &step));
    // No header is honoured for more than a day, and no probe finds the scope refused again.
    for asked in [None, Some(model("m")), Some(model("other"))] {
        advance(DAY + Duration::from_secs(60)).await;
        let lease = pool.acquire(asked.as_ref());
        lease.unwrap_or_else(|error| panic!("{provider}: {error:?} for {asked:?}")).succeed();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_header_stops_a_pool(
        provider in select(&PROVIDERS[..]),
        declared in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(provider, declared, &steps));
    }
}

/// Regression test: an addition overflowed, and every later request of the key found an empty ledger.
#[tokio::test(start_paused = true)]
async fn extreme_counts_do_not_overflow() {
    let pool = pool_at("openai", false);
    for _ in 0..8 {
        let leases: Vec<_> = (0..8).map(|_| pool.acquire(None).unwrap()).collect();
        for mut lease in leases.into_iter().rev() {
            let headers = head(&[
                ("x-ratelimit-limit-requests", "4294967295"),
                ("x-ratelimit-remaining-requests", "4294967294"),
                ("x-ratelimit-reset-requests", "2147.483904s"),
            ]);
            lease.observe(StatusCode::OK, &headers, None);
            lease.succeed();
            advance(Duration::from_millis(7)).await;
        }
    }
    assert_eq!(pool.usable(None), 1);
}

/// A window that is too long to be stored as stated is one limit, not four.
#[tokio::test(start_paused = true)]
async fn a_very_long_window_is_one_limit() {
    let pool = pool_at("mistral", false);
    for _ in 0..3 {
        let mut lease = pool.acquire(None).unwrap();
        let headers = head(&[
            ("x-ratelimit-limit-req-4294967297-month", "100"),
            ("x-ratelimit-remaining-req-4294967297-month", "99"),
        ]);
        lease.observe(StatusCode::OK, &headers, None);
        lease.succeed();
    }
    assert_eq!(pool.snapshot().keys[0].limits.len(), 1);
}
