//! Chat completions, embeddings and the list of models, in OpenAI's format.
//!
//! Three of the five voices use this format: OpenAI, and the OpenAI-compatible endpoints of Anthropic and
//! Gemini. They differ in headers and errors, which other modules add.

use http::StatusCode;
use serde_json::{Value, json};

use super::reply::{Event, Part, Reply};
use super::route::Endpoint;
use super::scene::Scene;

const TOOL_ARGUMENTS: &str = r#"{"topic":"foxes"}"#;

pub(super) fn answer(scene: &Scene<'_>) -> Reply {
    match scene.asked.route.endpoint {
        Endpoint::Embeddings => Reply::json(StatusCode::OK, &embeddings(scene)),
        Endpoint::Models => Reply::json(StatusCode::OK, &models()),
        _ if scene.asked.form.streamed => Reply::stream(stream(scene)),
        _ => Reply::json(StatusCode::OK, &completion(scene, message(scene), finish_reason(scene))),
    }
}

/// Returns the response to a prompt that a content policy stopped, for providers that report it with status
/// 200.
pub(super) fn filtered(scene: &Scene<'_>) -> Value {
    completion(scene, json!({"role": "assistant", "content": null}), "content_filter")
}

fn completion(scene: &Scene<'_>, message: Value, finish_reason: &str) -> Value {
    json!({
        "id": scene.id("chatcmpl-"),
        "object": "chat.completion",
        "created": scene.created(),
        "model": scene.model(),
        "choices": [{
            "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason,
        }],
        "usage": usage(scene),
        "service_tier": "default",
        "system_fingerprint": "fp_50906f2aac",
    })
}

fn message(scene: &Scene<'_>) -> Value {
    match &scene.asked.form.tool {
        Some(tool) => json!({
            "role": "assistant", "content": null, "refusal": null, "annotations": [],
            "tool_calls": [{
                "id": scene.id("call_"),
                "type": "function",
                "function": {"name": tool, "arguments": TOOL_ARGUMENTS},
            }],
        }),
        None => {
            json!({"role": "assistant", "content": scene.text(), "refusal": null, "annotations": []})
        }
    }
}

fn finish_reason(scene: &Scene<'_>) -> &'static str {
    if scene.asked.form.tool.is_some() { "tool_calls" } else { "stop" }
}

fn usage(scene: &Scene<'_>) -> Value {
    json!({
        "prompt_tokens": scene.prompt_tokens(),
        "completion_tokens": scene.completion_tokens(),
        "total_tokens": scene.total_tokens(),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

fn stream(scene: &Scene<'_>) -> Vec<Event> {
    let chunk = |part, delta, reason: Option<&str>| Event::data(part, &chunk(scene, delta, reason));
    let mut events = vec![chunk(Part::Preamble, first_delta(scene), None)];
    match &scene.asked.form.tool {
        Some(_) => events.extend([r#"{"topic":"#, r#""foxes"}"#].map(|arguments| {
            let delta = json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
            chunk(Part::Content, delta, None)
        })),
        None => {
            events.extend(scene.pieces().map(|piece| chunk(Part::Content, json!({"content": piece}), None)));
        }
    }
    events.push(chunk(Part::Closing, json!({}), Some(finish_reason(scene))));
    if scene.asked.form.include_usage {
        events.push(Event::data(Part::Closing, &usage_chunk(scene)));
    }
    events.push(Event { bytes: "data: [DONE]\n\n".into(), part: Part::Terminator });
    events
}

fn first_delta(scene: &Scene<'_>) -> Value {
    match &scene.asked.form.tool {
        Some(tool) => json!({
            "role": "assistant", "content": null, "refusal": null,
            "tool_calls": [{
                "index": 0, "id": scene.id("call_"), "type": "function",
                "function": {"name": tool, "arguments": ""},
            }],
        }),
        None => json!({"role": "assistant", "content": "", "refusal": null}),
    }
}

fn chunk(scene: &Scene<'_>, delta: Value, finish_reason: Option<&str>) -> Value {
    let mut chunk = json!({
        "id": scene.id("chatcmpl-"),
        "object": "chat.completion.chunk",
        "created": scene.created(),
        "model": scene.model(),
        "service_tier": "default",
        "system_fingerprint": "fp_50906f2aac",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
    });
    if scene.asked.form.include_usage {
        chunk["usage"] = Value::Null;
    }
    chunk
}

fn usage_chunk(scene: &Scene<'_>) -> Value {
    let mut chunk = chunk(scene, Value::Null, None);
    chunk["choices"] = json!([]);
    chunk["usage"] = usage(scene);
    chunk
}

fn embeddings(scene: &Scene<'_>) -> Value {
    let data = (0..scene.asked.form.inputs)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": [0.25, -0.5, 0.125]}))
        .collect::<Vec<_>>();
    let tokens = scene.prompt_tokens();
    json!({
        "object": "list",
        "data": data,
        "model": scene.model(),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

fn models() -> Value {
    let model = |id| json!({"id": id, "object": "model", "created": 1_715_367_049, "owned_by": "system"});
    json!({"object": "list", "data": [model("sim-large"), model("sim-small")]})
}
