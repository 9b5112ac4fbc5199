//! Anthropic's responses.

use http::StatusCode;
use serde_json::{Value, json};

use crate::wire::input::ResponseInput;
use crate::wire::reply::{Event, Part, Reply};
use crate::wire::route::Endpoint;

/// Returns the response to a call that passed all checks.
pub(in crate::wire) fn respond(input: &ResponseInput<'_>) -> Reply {
    match input.request.route.endpoint {
        Endpoint::CountTokens => Reply::json(StatusCode::OK, &json!({"input_tokens": input.prompt_tokens()})),
        Endpoint::Models => Reply::json(StatusCode::OK, &models()),
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
    match &input.request.fields.tool {
        Some(tool) => {
            json!({"type": "tool_use", "id": input.id("toolu_"), "name": tool, "input": {"topic": "foxes"}})
        }
        None => json!({"type": "text", "text": input.text()}),
    }
}

fn stop_reason(input: &ResponseInput<'_>) -> &'static str {
    if input.request.fields.tool.is_some() { "tool_use" } else { "end_turn" }
}

fn stream(input: &ResponseInput<'_>) -> Vec<Event> {
    let mut events = preamble(input);
    let delta = |delta| {
        Event::named(Part::Content, &json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    };
    match input.request.fields.tool {
        Some(_) => events.extend(
            [r#"{"topic":"#, r#""foxes"}"#]
                .map(|json| delta(json!({"type": "input_json_delta", "partial_json": json}))),
        ),
        None => {
            events.extend(input.pieces().map(|piece| delta(json!({"type": "text_delta", "text": piece}))));
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
    match input.request.fields.tool {
        Some(_) => block["input"] = json!({}),
        None => block["text"] = "".into(),
    }
    let start = json!({"type": "message_start", "message": message(input, json!([]), None)});
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
