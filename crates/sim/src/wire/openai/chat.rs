//! Chat completions, in OpenAI's format.
//!
//! Three of the five response formats use it: OpenAI, and the OpenAI-compatible endpoints of Anthropic and
//! Gemini. They differ in headers and errors, which other modules add.

use http::StatusCode;
use serde_json::{Value, json};

use crate::wire::input::ResponseInput;
use crate::wire::reply::{Event, Part, Reply};

/// Maximum number of choices (128), as OpenAI's reference states.
const MOST_CHOICES: u64 = 128;

pub(in crate::wire) fn respond(input: &ResponseInput<'_>) -> Reply {
    if input.request.fields.streamed {
        return Reply::stream(stream(input));
    }
    Reply::json(StatusCode::OK, &completion(input, &message(input), finish_reason(input)))
}

/// Returns the response to a prompt that a content policy stopped, for providers that report it with status
/// 200.
pub(in crate::wire) fn filtered(input: &ResponseInput<'_>) -> Value {
    completion(input, &json!({"role": "assistant", "content": null}), "content_filter")
}

fn completion(input: &ResponseInput<'_>, message: &Value, finish_reason: &str) -> Value {
    let choice =
        |index| json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish_reason});
    let choices: Vec<Value> = (0..choices(input)).map(choice).collect();
    json!({
        "id": input.id("chatcmpl-"),
        "object": "chat.completion",
        "created": input.created(),
        "model": input.model(),
        "choices": choices,
        "usage": usage(input),
        "service_tier": "default",
        "system_fingerprint": "fp_50906f2aac",
    })
}

fn message(input: &ResponseInput<'_>) -> Value {
    match input.output.call() {
        Some(call) => json!({
            "role": "assistant", "content": null, "refusal": null, "annotations": [],
            "tool_calls": [{
                "id": input.id("call_"),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments.to_string()},
            }],
        }),
        None => {
            json!({"role": "assistant", "content": input.text(), "refusal": null, "annotations": []})
        }
    }
}

fn finish_reason(input: &ResponseInput<'_>) -> &'static str {
    if input.output.call().is_some() { "tool_calls" } else { "stop" }
}

/// Returns the number of choices that the request asks for, at most 128.
pub(super) fn choices(input: &ResponseInput<'_>) -> u64 {
    input.request.body["n"].as_u64().unwrap_or(1).clamp(1, MOST_CHOICES)
}

pub(super) fn usage(input: &ResponseInput<'_>) -> Value {
    let completion_tokens = input.completion_tokens() * choices(input);
    json!({
        "prompt_tokens": input.prompt_tokens(),
        "completion_tokens": completion_tokens,
        "total_tokens": input.prompt_tokens() + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

fn stream(input: &ResponseInput<'_>) -> Vec<Event> {
    let mut events: Vec<Event> = (0..choices(input)).flat_map(|index| choice_events(input, index)).collect();
    if input.request.fields.include_usage {
        events.push(Event::data(Part::Closing, &usage_chunk(input)));
    }
    events.push(Event { bytes: "data: [DONE]\n\n".into(), part: Part::Terminator });
    events
}

/// Returns the events of one choice.
fn choice_events(input: &ResponseInput<'_>, index: u64) -> Vec<Event> {
    let chunk = |part, delta, reason: Option<&str>| {
        let mut chunk = chunk(input, delta, reason);
        chunk["choices"][0]["index"] = index.into();
        Event::data(part, &chunk)
    };
    let mut events = vec![chunk(Part::Preamble, first_delta(input), None)];
    match input.output.call() {
        Some(call) => events.extend(call.pieces().iter().map(|arguments| {
            let delta = json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
            chunk(Part::Content, delta, None)
        })),
        None => {
            events.extend(
                input
                    .output
                    .pieces()
                    .iter()
                    .map(|piece| chunk(Part::Content, json!({"content": piece}), None)),
            );
        }
    }
    events.push(chunk(Part::Closing, json!({}), Some(finish_reason(input))));
    events
}

fn first_delta(input: &ResponseInput<'_>) -> Value {
    match input.output.call() {
        Some(call) => json!({
            "role": "assistant", "content": null, "refusal": null,
            "tool_calls": [{
                "index": 0, "id": input.id("call_"), "type": "function",
                "function": {"name": call.name, "arguments": ""},
            }],
        }),
        None => json!({"role": "assistant", "content": "", "refusal": null}),
    }
}

fn chunk(input: &ResponseInput<'_>, delta: Value, finish_reason: Option<&str>) -> Value {
    let mut chunk = json!({
        "id": input.id("chatcmpl-"),
        "object": "chat.completion.chunk",
        "created": input.created(),
        "model": input.model(),
        "service_tier": "default",
        "system_fingerprint": "fp_50906f2aac",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
    });
    if input.request.fields.include_usage {
        chunk["usage"] = Value::Null;
    }
    chunk
}

fn usage_chunk(input: &ResponseInput<'_>) -> Value {
    let mut chunk = chunk(input, Value::Null, None);
    chunk["choices"] = json!([]);
    chunk["usage"] = usage(input);
    chunk
}
