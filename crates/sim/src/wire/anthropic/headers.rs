//! Anthropic's headers.

use std::time::Duration;

use http::HeaderMap;

use crate::quota::Gauge;
use crate::wire::header::{insert_header, seconds_rounded_up};
use crate::wire::input::ResponseInput;
use crate::wire::reply::Reply;

/// Header names of the limit, the remaining amount and the reset time.
type HeaderNames = [&'static str; 3];

const REQUESTS: HeaderNames = [
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
];
const TOKENS: HeaderNames = [
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
];
const INPUT_TOKENS: HeaderNames = [
    "anthropic-ratelimit-input-tokens-limit",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
];
const OUTPUT_TOKENS: HeaderNames = [
    "anthropic-ratelimit-output-tokens-limit",
    "anthropic-ratelimit-output-tokens-remaining",
    "anthropic-ratelimit-output-tokens-reset",
];

/// Adds the headers that every response to a known key carries.
pub(in crate::wire) fn add_headers(reply: Reply, input: &ResponseInput<'_>) -> Reply {
    let mut reply =
        reply.with("request-id", input.id("req_")).with("anthropic-organization-id", organization(input));
    let requests = input.requests();
    let tokens = input.tokens();
    // The documentation of the API says that tokens are rounded to the nearest thousand.
    let rounded = Gauge { remaining: (tokens.remaining + 500) / 1_000 * 1_000, ..tokens };
    limit_headers(&mut reply.headers, input, REQUESTS, requests);
    limit_headers(&mut reply.headers, input, TOKENS, rounded);
    limit_headers(&mut reply.headers, input, INPUT_TOKENS, rounded);
    limit_headers(&mut reply.headers, input, OUTPUT_TOKENS, rounded);
    reply
}

/// Adds the headers of one limit.
fn limit_headers(
    headers: &mut HeaderMap,
    input: &ResponseInput<'_>,
    [limit, remaining, reset]: HeaderNames,
    gauge: Gauge,
) {
    insert_header(headers, limit, gauge.limit);
    insert_header(headers, remaining, gauge.remaining);
    insert_header(headers, reset, input.rfc3339_after(gauge.full_in));
}

/// Adds the wait of an error, in seconds. Without a wait, adds nothing.
pub(super) fn retry_headers(headers: &mut HeaderMap, retry_after: Option<Duration>) {
    if let Some(wait) = retry_after {
        insert_header(headers, "retry-after", seconds_rounded_up(wait));
    }
}

/// Returns a UUID that is the same for every call of one account.
pub(super) fn organization(input: &ResponseInput<'_>) -> String {
    let hash = input.organization.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("00000000-0000-4000-8000-{:012x}", hash & 0xffff_ffff_ffff)
}
