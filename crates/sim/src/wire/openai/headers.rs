//! OpenAI's headers.

use std::time::Duration;

use http::HeaderMap;

use crate::quota::Gauge;
use crate::wire::header::{GoDuration, insert_header, seconds_rounded_up};
use crate::wire::input::ResponseInput;
use crate::wire::reply::Reply;
use crate::wire::route::Endpoint;

/// Adds the headers that every response to a known key carries.
pub(in crate::wire) fn add_headers(reply: Reply, input: &ResponseInput<'_>) -> Reply {
    let mut reply = identify(reply, input);
    limit_headers(&mut reply.headers, input);
    reply
}

/// Adds the headers that identify the call and its account.
pub(super) fn identify(reply: Reply, input: &ResponseInput<'_>) -> Reply {
    reply
        .with("openai-organization", input.organization)
        .with("openai-processing-ms", 136)
        .with("openai-version", "2020-10-01")
        .with("x-request-id", input.id("req_"))
}

/// Adds the limits of the model. Calls without a model and the list of models have none.
fn limit_headers(headers: &mut HeaderMap, input: &ResponseInput<'_>) {
    if input.model().is_empty() || input.request.route.endpoint == Endpoint::Model {
        return;
    }
    let Gauge { limit, remaining, full_in } = input.requests();
    insert_header(headers, "x-ratelimit-limit-requests", limit);
    insert_header(headers, "x-ratelimit-remaining-requests", remaining);
    insert_header(headers, "x-ratelimit-reset-requests", GoDuration(full_in));
    let Gauge { limit, remaining, full_in } = input.tokens();
    insert_header(headers, "x-ratelimit-limit-tokens", limit);
    insert_header(headers, "x-ratelimit-remaining-tokens", remaining);
    insert_header(headers, "x-ratelimit-reset-tokens", GoDuration(full_in));
}

/// Adds the wait of an error, in seconds and in milliseconds. Without a wait, adds nothing.
pub(super) fn retry_headers(headers: &mut HeaderMap, retry_after: Option<Duration>) {
    if let Some(wait) = retry_after {
        insert_header(headers, "retry-after", seconds_rounded_up(wait));
        insert_header(headers, "retry-after-ms", wait.as_nanos().div_ceil(1_000_000));
    }
}
