//! Every response gets a verdict, and no limit has more left than its size.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use libfuzzer_sys::fuzz_target;
use tower::ServiceExt;
use tower_key_rotation::classify::{Outcome, Verdict};
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::key::ApiKey;
use tower_key_rotation::{KeyPool, Provider};

#[derive(Arbitrary, Debug)]
struct UpstreamResponse<'a> {
    provider: u8,
    status: u16,
    headers: Vec<(Name<'a>, &'a [u8])>,
    body: &'a [u8],
}

/// The name of a header, often a known one, because most made-up names have no meaning to any rule.
#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Known(u8),
    Any(&'a [u8]),
}

const KNOWN: [&str; 24] = [
    "anthropic-organization-id",
    "anthropic-ratelimit-input-tokens-limit",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
    "content-type",
    "date",
    "openai-organization",
    "openai-project",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "retry-after",
    "retry-after-ms",
    "x-api-warning",
    "x-ratelimit-limit-req-minute",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-renewalperiod-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-should-retry",
];

fn name(name: &Name<'_>) -> Option<HeaderName> {
    match name {
        Name::Known(number) => Some(HeaderName::from_static(KNOWN[usize::from(*number) % KNOWN.len()])),
        Name::Any(name) => HeaderName::from_bytes(name).ok(),
    }
}

fuzz_target!(|answer: UpstreamResponse<'_>| {
    let presets: Vec<_> = Provider::presets().collect();
    let Some(provider) = Provider::preset(presets[usize::from(answer.provider) % presets.len()]) else {
        return;
    };
    let Ok(status) = StatusCode::from_u16(200 + answer.status % 400) else { return };
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = status;
    for (header, value) in answer.headers.iter().take(40) {
        if let (Some(name), Ok(value)) = (name(header), HeaderValue::from_bytes(value)) {
            head.headers.append(name, value);
        }
    }
    let (headers, now) = (head.headers.clone(), Timestamp::now());
    let _ = (provider.limits(&headers, answer.body, now), provider.usage(&headers, answer.body));

    let outcome = Outcome::response(Arc::new(head), Bytes::copy_from_slice(answer.body), now);
    let verdict = provider.classifier().oneshot(outcome).now_or_never();
    let Some(Ok(verdict)) = verdict else { panic!("a verdict takes no time, and can't fail") };

    let Ok(key) = ApiKey::new("sk-fuzz") else { return };
    let Ok(pool) = KeyPool::builder(provider).key(key).build() else { return };
    for _ in 0..2 {
        let Ok(mut lease) = pool.acquire(None) else { break };
        lease.observe(status, &headers, None);
        match &verdict {
            Verdict::Fault(fault) => drop(lease.fail(fault, None)),
            _ => lease.succeed(),
        }
    }
    for limit in pool.snapshot().keys.iter().flat_map(|key| &key.limits) {
        assert!(limit.remaining <= limit.limit, "{limit:?}");
    }
});
