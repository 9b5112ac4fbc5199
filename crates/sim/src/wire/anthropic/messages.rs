//! Anthropic's responses.

use http::StatusCode;
use serde_json::{Value, json};

use crate::wire::input::ResponseInput;
use crate::wire::reply::{Event, Part, Reply};
use crate::wire::route::Endpoint;

/// Returns the response to a call that passed all checks.
pub(super) fn respond(input: &ResponseInput<'_>) -> Reply {
    match input.request.route.endpoint {
        Endpoint::CountTokens => Reply::json(StatusCode::OK, &json!({"input_tokens": input.prompt_tokens()})),
        Endpoint::Models => Reply::json(StatusCode::OK, &models(input.models.listed())),
        Endpoint::Model => Reply::json(StatusCode::OK, &model(input.model())),
        _ if input.request.fields.streamed => Reply::stream(stream(input)),
        _ => {
            let block = block(input);
            Reply::json(StatusCode::OK, &message(input, json!([block]), Some(stop_reason(input))))
        }
    }
}

fn message(input: &ResponseInput<'_>, content: Value, stop_reason: Option<&str>) -> Value {
    let output_tokens = if stop_reason.is_some() { input.completion_tokens() } else { 1 };
    json!({
        "id": input.id("msg_"), "type": "message", "role": "assistant", "model": input.model(),
        "content": content, "stop_reason": stop_reason, "stop_sequence": null,
        "usage": {
            "input_tokens": input.prompt_tokens(), "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0, "output_tokens": output_tokens, "service_tier": "standard",
        },
    })
}

fn block(input: &ResponseInput<'_>) -> Value {
    match input.output.call() {
        Some(call) => json!({
            "type": "tool_use", "id": input.id("toolu_"), "name": call.name, "input": call.arguments,
        }),
        None => json!({"type": "text", "text": input.text()}),
    }
}

fn stop_reason(input: &ResponseInput<'_>) -> &'static str {
    if input.output.call().is_some() { "tool_use" } else { "end_turn" }
}

fn stream(input: &ResponseInput<'_>) -> Vec<Event> {
    let mut events = preamble(input);
    let delta = |delta| {
        Event::named(Part::Content, &json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    };
    match input.output.call() {
        Some(call) => {
            let json = |json| delta(json!({"type": "input_json_delta", "partial_json": json}));
            events.extend(call.pieces().iter().map(json));
        }
        None => {
            let text = |piece| delta(json!({"type": "text_delta", "text": piece}));
            events.extend(input.output.pieces().iter().map(text));
        }
    }
    events.push(Event::named(Part::Closing, &json!({"type": "content_block_stop", "index": 0})));
    let closing = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(input), "stop_sequence": null},
        "usage": {"output_tokens": input.completion_tokens()},
    });
    events.push(Event::named(Part::Closing, &closing));
    events.push(Event::named(Part::Terminator, &json!({"type": "message_stop"})));
    events
}

fn preamble(input: &ResponseInput<'_>) -> Vec<Event> {
    let mut block = block(input);
    match input.output.call() {
        Some(_) => block["input"] = json!({}),
        None => block["text"] = "".into(),
    }
    let start = json!({"type": "message_start", "message": message(input, json!([]), None)});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": block});
    [start, block, json!({"type": "ping"})].iter().map(|event| Event::named(Part::Preamble, event)).collect()
}

fn models(ids: &[String]) -> Value {
    let data: Vec<Value> = ids.iter().map(|id| model(id)).collect();
    json!({"data": data, "has_more": false, "first_id": ids.first(), "last_id": ids.last()})
}

fn model(id: &str) -> Value {
    json!({"type": "model", "id": id, "display_name": id, "created_at": "2025-02-19T00:00:00Z"})
}
