//! OpenAI's Responses endpoint.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::openai;
use super::refusal::Refusal;
use super::reply::{Event, Part, Reply};
use super::scene::Scene;

const TOOL_ARGUMENTS: &str = r#"{"topic":"foxes"}"#;

/// The events of one stream, numbered as they are added.
struct Numbered {
    events: Vec<Event>,
}

pub(super) fn answer(scene: &Scene<'_>) -> Reply {
    if scene.asked.form.streamed {
        return Reply::stream(stream(scene));
    }
    Reply::json(StatusCode::OK, &completed(scene))
}

/// Returns a failure in mid-stream. The status of the response stays 200.
pub(super) fn error_event(scene: &Scene<'_>, refusal: &Refusal) -> Bytes {
    let (_, error) = openai::error(scene, refusal);
    let code = match refusal {
        Refusal::Overloaded { .. } => json!("server_is_overloaded"),
        Refusal::ServerError | Refusal::Timeout => json!("server_error"),
        _ => error["error"]["code"].clone(),
    };
    let mut response = response(scene, "failed", json!([]));
    response["error"] = json!({"code": code, "message": error["error"]["message"]});
    let event = json!({"type": "response.failed", "sequence_number": 3, "response": response});
    Event::named(Part::Closing, &event).bytes
}

fn stream(scene: &Scene<'_>) -> Vec<Event> {
    let mut out = Numbered { events: Vec::new() };
    let started = response(scene, "in_progress", json!([]));
    out.push(Part::Preamble, json!({"type": "response.created", "response": started}));
    out.push(Part::Preamble, json!({"type": "response.in_progress", "response": started}));
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item": begun(scene)});
    out.push(Part::Preamble, added);
    match scene.asked.form.tool {
        Some(_) => call_events(scene, &mut out),
        None => text_events(scene, &mut out),
    }
    out.push(
        Part::Closing,
        json!({"type": "response.output_item.done", "output_index": 0, "item": item(scene)}),
    );
    out.push(Part::Terminator, json!({"type": "response.completed", "response": completed(scene)}));
    out.events
}

fn text_events(scene: &Scene<'_>, out: &mut Numbered) {
    let at = |kind: &str| json!({"type": kind, "item_id": scene.id("msg_"), "output_index": 0, "content_index": 0});
    let mut added = at("response.content_part.added");
    added["part"] = part("");
    out.push(Part::Preamble, added);
    for piece in scene.pieces() {
        let mut delta = at("response.output_text.delta");
        delta["delta"] = piece.into();
        out.push(Part::Content, delta);
    }
    let mut done = at("response.output_text.done");
    done["text"] = scene.text().into();
    out.push(Part::Closing, done);
    let mut done = at("response.content_part.done");
    done["part"] = part(&scene.text());
    out.push(Part::Closing, done);
}

fn call_events(scene: &Scene<'_>, out: &mut Numbered) {
    let at = |kind: &str| json!({"type": kind, "item_id": scene.id("fc_"), "output_index": 0});
    let mut delta = at("response.function_call_arguments.delta");
    delta["delta"] = TOOL_ARGUMENTS.into();
    out.push(Part::Content, delta);
    let mut done = at("response.function_call_arguments.done");
    done["arguments"] = TOOL_ARGUMENTS.into();
    out.push(Part::Closing, done);
}

fn completed(scene: &Scene<'_>) -> Value {
    let mut response = response(scene, "completed", json!([item(scene)]));
    response["completed_at"] = scene.created().into();
    response["usage"] = json!({
        "input_tokens": scene.prompt_tokens(),
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": scene.completion_tokens(),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": scene.total_tokens(),
    });
    response
}

fn response(scene: &Scene<'_>, status: &str, output: Value) -> Value {
    json!({
        "id": scene.id("resp_"), "object": "response", "created_at": scene.created(), "status": status,
        "background": false, "completed_at": null, "error": null, "incomplete_details": null,
        "instructions": null, "max_output_tokens": null, "model": scene.model(), "output": output,
        "parallel_tool_calls": true, "previous_response_id": null, "service_tier": "default",
        "store": true, "temperature": 1.0, "top_p": 1.0, "truncation": "disabled", "usage": null,
        "user": null, "metadata": {},
    })
}

fn item(scene: &Scene<'_>) -> Value {
    match &scene.asked.form.tool {
        Some(tool) => json!({
            "id": scene.id("fc_"), "type": "function_call", "status": "completed",
            "call_id": scene.id("call_"), "name": tool, "arguments": TOOL_ARGUMENTS,
        }),
        None => json!({
            "id": scene.id("msg_"), "type": "message", "status": "completed", "role": "assistant",
            "content": [part(&scene.text())],
        }),
    }
}

/// Returns the output item while it is still empty.
fn begun(scene: &Scene<'_>) -> Value {
    let mut item = item(scene);
    item["status"] = "in_progress".into();
    match &scene.asked.form.tool {
        Some(_) => item["arguments"] = "".into(),
        None => item["content"] = json!([]),
    }
    item
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

// === impl Numbered ===

impl Numbered {
    fn push(&mut self, part: Part, mut event: Value) {
        event["sequence_number"] = self.events.len().into();
        self.events.push(Event::named(part, &event));
    }
}
