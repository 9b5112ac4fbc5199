//! Anthropic's messages, headers and errors.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::meter::Gauge;
use super::refusal::{Refusal, SimDimension};
use super::reply::{Event, Part, Reply};
use super::route::{Endpoint, Voice};
use super::scene::{Scene, put, whole_seconds};

pub(super) fn answer(scene: &Scene<'_>) -> Reply {
    match scene.asked.route.endpoint {
        Endpoint::CountTokens => Reply::json(StatusCode::OK, &json!({"input_tokens": scene.prompt_tokens()})),
        Endpoint::Models => Reply::json(StatusCode::OK, &models()),
        _ if scene.asked.form.streamed => Reply::stream(stream(scene)),
        _ => {
            let block = block(scene);
            Reply::json(StatusCode::OK, &message(scene, json!([block]), Some(stop_reason(scene))))
        }
    }
}

/// Adds the headers that every response to a known key carries.
pub(super) fn dress(reply: Reply, scene: &Scene<'_>) -> Reply {
    let mut reply =
        reply.with("request-id", scene.id("req_")).with("anthropic-organization-id", organization(scene));
    let requests = scene.requests();
    let tokens = scene.tokens();
    let rounded = Gauge { remaining: (tokens.remaining + 500) / 1_000 * 1_000, ..tokens };
    family(&mut reply.headers, scene, REQUESTS, requests);
    family(&mut reply.headers, scene, TOKENS, rounded);
    family(&mut reply.headers, scene, INPUT_TOKENS, rounded);
    family(&mut reply.headers, scene, OUTPUT_TOKENS, rounded);
    reply
}

pub(super) fn refuse(scene: &Scene<'_>, refusal: &Refusal) -> Reply {
    let compatible = scene.asked.route.voice == Voice::AnthropicCompat;
    let (status, value) = if compatible { compatible_error(scene, refusal) } else { error(scene, refusal) };
    let mut reply = Reply::json(status, &value).with("request-id", scene.id("req_"));
    match refusal {
        Refusal::RateLimited { retry_after, .. } => {
            reply = dress(reply, scene).with("x-should-retry", true);
            waits(&mut reply.headers, *retry_after);
        }
        Refusal::Overloaded { retry_after } => {
            reply = reply.with("x-should-retry", true);
            waits(&mut reply.headers, *retry_after);
        }
        _ => reply = reply.with("x-should-retry", status.is_server_error()),
    }
    reply
}

pub(super) fn error(scene: &Scene<'_>, refusal: &Refusal) -> (StatusCode, Value) {
    let (status, kind, message) = words(scene, refusal);
    let mut error = json!({"type": kind, "message": message});
    if matches!(refusal, Refusal::RateLimited { dimension: SimDimension::Day, .. }) {
        error["details"] = json!({"error_code": "enforced_spend_limit_reached"});
    }
    let value = json!({"type": "error", "error": error, "request_id": scene.id("req_")});
    (StatusCode::from_u16(status).unwrap_or_default(), value)
}

/// Returns an error as the OpenAI-compatible endpoint reports it: the kind becomes the code, and the type is
/// always the same.
pub(super) fn compatible_error(scene: &Scene<'_>, refusal: &Refusal) -> (StatusCode, Value) {
    let (status, kind, message) = words(scene, refusal);
    let error = json!({"code": kind, "message": message, "type": "invalid_request_error", "param": null});
    (StatusCode::from_u16(status).unwrap_or_default(), json!({"error": error}))
}

/// Header names of the limit, the remaining amount and the reset time.
type Family = [&'static str; 3];

const REQUESTS: Family = [
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
];
const TOKENS: Family = [
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
];
const INPUT_TOKENS: Family = [
    "anthropic-ratelimit-input-tokens-limit",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
];
const OUTPUT_TOKENS: Family = [
    "anthropic-ratelimit-output-tokens-limit",
    "anthropic-ratelimit-output-tokens-remaining",
    "anthropic-ratelimit-output-tokens-reset",
];

fn family(headers: &mut HeaderMap, scene: &Scene<'_>, [limit, remaining, reset]: Family, gauge: Gauge) {
    put(headers, limit, gauge.limit);
    put(headers, remaining, gauge.remaining);
    put(headers, reset, scene.instant(gauge.full_in));
}

fn waits(headers: &mut HeaderMap, retry_after: Option<Duration>) {
    if let Some(wait) = retry_after {
        put(headers, "retry-after", whole_seconds(wait));
    }
}

/// Returns a UUID that is the same for every call of one account.
fn organization(scene: &Scene<'_>) -> String {
    let hash = scene.organization.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("00000000-0000-4000-8000-{:012x}", hash & 0xffff_ffff_ffff)
}

fn words(scene: &Scene<'_>, refusal: &Refusal) -> (u16, &'static str, String) {
    const INVALID: &str = "invalid_request_error";
    let (status, kind, message): (u16, &str, &str) = match refusal {
        Refusal::RateLimited { dimension, .. } => {
            return (429, "rate_limit_error", limit_message(scene, *dimension));
        }
        Refusal::ModelNotFound => {
            return (404, "not_found_error", format!("model: {}", scene.model()));
        }
        Refusal::BadRequest(reason) => return (400, INVALID, reason.clone().into_owned()),
        Refusal::OutOfCredit => (
            400,
            INVALID,
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to \
             upgrade or purchase credits.",
        ),
        Refusal::LargerThanLimit | Refusal::TooLarge => {
            (413, "request_too_large", "Request exceeds the maximum size")
        }
        Refusal::MissingKey => (401, "authentication_error", "x-api-key header is required"),
        Refusal::InvalidKey => (401, "authentication_error", "invalid x-api-key"),
        Refusal::Deactivated => (400, INVALID, "This organization has been disabled."),
        Refusal::ModelForbidden => (403, "permission_error", "Permission denied"),
        Refusal::RegionBlocked => (403, "forbidden", "Request not allowed"),
        Refusal::Overloaded { .. } => (529, "overloaded_error", "Overloaded"),
        Refusal::ServerError => (500, "api_error", "Internal server error"),
        Refusal::Timeout => (504, "timeout_error", "Request timed out"),
        Refusal::ContextLength => (400, INVALID, "prompt is too long: 3333404 tokens > 200000 maximum"),
        Refusal::ContentFilter => (400, INVALID, "Output blocked by content filtering policy"),
        Refusal::NotFound => (404, "not_found_error", "Not found"),
    };
    (status, kind, message.to_owned())
}

fn limit_message(scene: &Scene<'_>, dimension: SimDimension) -> String {
    let (amount, what) = match dimension {
        SimDimension::Requests => (scene.requests().limit, "requests"),
        SimDimension::Tokens => (scene.tokens().limit, "input tokens"),
        SimDimension::Day => {
            let day =
                scene.instant(scene.standing.day.map_or(Duration::from_secs(86_400), |day| day.full_in));
            let date = day.get(..10).unwrap_or_default();
            return format!(
                "You have reached your API usage limits: your organization has crossed its monthly API usage \
                 threshold, set based on your organization's API tier. You will regain access on {date} at \
                 00:00 UTC."
            );
        }
    };
    format!(
        "This request would exceed the rate limit for your organization ({}) of {amount} {what} per minute. \
         For details, refer to: https://docs.anthropic.com/en/api/rate-limits. You can see the response \
         headers for current usage. Please reduce the prompt length or the maximum tokens requested, or try \
         again later.",
        organization(scene)
    )
}

fn message(scene: &Scene<'_>, content: Value, stop_reason: Option<&str>) -> Value {
    let output_tokens = if stop_reason.is_some() { scene.completion_tokens() } else { 1 };
    json!({
        "id": scene.id("msg_"), "type": "message", "role": "assistant", "model": scene.model(),
        "content": content, "stop_reason": stop_reason, "stop_sequence": null,
        "usage": {
            "input_tokens": scene.prompt_tokens(), "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0, "output_tokens": output_tokens, "service_tier": "standard",
        },
    })
}

fn block(scene: &Scene<'_>) -> Value {
    match &scene.asked.form.tool {
        Some(tool) => {
            json!({"type": "tool_use", "id": scene.id("toolu_"), "name": tool, "input": {"topic": "foxes"}})
        }
        None => json!({"type": "text", "text": scene.text()}),
    }
}

fn stop_reason(scene: &Scene<'_>) -> &'static str {
    if scene.asked.form.tool.is_some() { "tool_use" } else { "end_turn" }
}

fn stream(scene: &Scene<'_>) -> Vec<Event> {
    let mut events = preamble(scene);
    let delta = |delta| {
        Event::named(Part::Content, &json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    };
    match scene.asked.form.tool {
        Some(_) => events.extend(
            [r#"{"topic":"#, r#""foxes"}"#]
                .map(|json| delta(json!({"type": "input_json_delta", "partial_json": json}))),
        ),
        None => {
            events.extend(scene.pieces().map(|piece| delta(json!({"type": "text_delta", "text": piece}))));
        }
    }
    events.push(Event::named(Part::Closing, &json!({"type": "content_block_stop", "index": 0})));
    let closing = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(scene), "stop_sequence": null},
        "usage": {"output_tokens": scene.completion_tokens()},
    });
    events.push(Event::named(Part::Closing, &closing));
    events.push(Event::named(Part::Terminator, &json!({"type": "message_stop"})));
    events
}

fn preamble(scene: &Scene<'_>) -> Vec<Event> {
    let mut block = block(scene);
    match scene.asked.form.tool {
        Some(_) => block["input"] = json!({}),
        None => block["text"] = "".into(),
    }
    let start = json!({"type": "message_start", "message": message(scene, json!([]), None)});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": block});
    [start, block, json!({"type": "ping"})].iter().map(|event| Event::named(Part::Preamble, event)).collect()
}

fn models() -> Value {
    json!({
        "data": [{
            "type": "model", "id": "sim-large", "display_name": "Sim Large",
            "created_at": "2025-02-19T00:00:00Z",
        }],
        "has_more": false, "first_id": "sim-large", "last_id": "sim-large",
    })
}
