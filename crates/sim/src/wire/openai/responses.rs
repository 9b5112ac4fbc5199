//! OpenAI's Responses endpoint.

use http::StatusCode;
use serde_json::{Value, json};

use super::error::error;
use super::object::list;
use super::reasoning;
use crate::script::Refusal;
use crate::store::{Store, Stored};
use crate::wire::input::ResponseInput;
use crate::wire::object::Kind;
use crate::wire::output::ToolCall;
use crate::wire::reply::{Event, Part, Reply};

/// Fields of a request that its response repeats.
const ECHOED: [&str; 15] = [
    "background",
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
    "user",
];

/// The events of one stream, numbered as they are added.
struct NumberedEvents {
    events: Vec<Event>,
}

/// Creates a response, which may continue one of the same account, and keeps it unless `store` is false.
pub(super) fn create(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let body = &input.request.body;
    if let Some(id) = body["previous_response_id"].as_str() {
        let found = Kind::Response.get(id, store);
        found.map_err(|_| Refusal::PreviousResponseNotFound(id.to_owned()))?;
    }
    if let Some(id) = conversation(body) {
        Kind::Conversation.get(id, store)?;
    }
    reasoning::check(input)?;
    if body["store"] != false {
        let stored = Stored { input: items(input), ..Stored::new(completed(input)) };
        store.insert(Kind::Response.prefix(), stored);
    }
    Ok(respond(input))
}

/// Returns the input of a response as a list, newest first.
pub(super) fn input_items(input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
    let stored = Kind::Response.named(input, store)?;
    let mut items = stored.input.as_array().cloned().unwrap_or_default();
    items.reverse();
    Ok(list(&items))
}

/// Returns the response to a request, as if it continued none.
pub(super) fn respond(input: &ResponseInput<'_>) -> Reply {
    if input.request.fields.streamed {
        return Reply::stream(stream(input));
    }
    Reply::json(StatusCode::OK, &completed(input))
}

/// Returns a failure within a stream. The status of the response stays 200.
pub(in crate::wire) fn error_event(input: &ResponseInput<'_>, refusal: &Refusal) -> Event {
    let (_, error) = error(input, refusal);
    let code = match refusal {
        Refusal::Overloaded { .. } => json!("server_is_overloaded"),
        Refusal::ServerError | Refusal::Timeout => json!("server_error"),
        _ => error["error"]["code"].clone(),
    };
    let mut response = response(input, "failed", json!([]));
    response["error"] = json!({"code": code, "message": error["error"]["message"]});
    let event = json!({"type": "response.failed", "sequence_number": 3, "response": response});
    Event::named(Part::Closing, &event)
}

fn stream(input: &ResponseInput<'_>) -> Vec<Event> {
    let mut out = NumberedEvents { events: Vec::new() };
    let started = response(input, "in_progress", json!([]));
    out.push(Part::Preamble, json!({"type": "response.created", "response": started}));
    out.push(Part::Preamble, json!({"type": "response.in_progress", "response": started}));
    if reasoning::is_wanted(&input.request.body) {
        for kind in ["response.output_item.added", "response.output_item.done"] {
            let event = json!({"type": kind, "output_index": 0, "item": reasoning::item(input)});
            out.push(Part::Preamble, event);
        }
    }
    let index = index(input);
    let added =
        json!({"type": "response.output_item.added", "output_index": index, "item": empty_item(input)});
    out.push(Part::Preamble, added);
    match input.output.call() {
        Some(call) => call_events(input, call, &mut out),
        None => text_events(input, &mut out),
    }
    out.push(
        Part::Closing,
        json!({"type": "response.output_item.done", "output_index": index, "item": item(input)}),
    );
    out.push(Part::Terminator, json!({"type": "response.completed", "response": completed(input)}));
    out.events
}

fn text_events(input: &ResponseInput<'_>, out: &mut NumberedEvents) {
    let at = |kind: &str| json!({"type": kind, "item_id": input.id("msg_"), "output_index": index(input), "content_index": 0});
    let mut added = at("response.content_part.added");
    added["part"] = part("");
    out.push(Part::Preamble, added);
    for piece in input.output.pieces() {
        let mut delta = at("response.output_text.delta");
        delta["delta"] = piece.as_str().into();
        out.push(Part::Content, delta);
    }
    let mut done = at("response.output_text.done");
    done["text"] = input.text().into();
    out.push(Part::Closing, done);
    let mut done = at("response.content_part.done");
    done["part"] = part(&input.text());
    out.push(Part::Closing, done);
}

fn call_events(input: &ResponseInput<'_>, call: &ToolCall, out: &mut NumberedEvents) {
    let at = |kind: &str| json!({"type": kind, "item_id": input.id("fc_"), "output_index": index(input)});
    for piece in call.pieces() {
        let mut delta = at("response.function_call_arguments.delta");
        delta["delta"] = piece.into();
        out.push(Part::Content, delta);
    }
    let mut done = at("response.function_call_arguments.done");
    done["arguments"] = call.arguments.to_string().into();
    out.push(Part::Closing, done);
}

fn completed(input: &ResponseInput<'_>) -> Value {
    let mut response = response(input, "completed", output(input));
    response["completed_at"] = input.created().into();
    response["usage"] = json!({
        "input_tokens": input.prompt_tokens(),
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": input.completion_tokens(),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input.total_tokens(),
    });
    response
}

fn response(input: &ResponseInput<'_>, status: &str, output: Value) -> Value {
    let mut response = json!({
        "id": input.id("resp_"), "object": "response", "created_at": input.created(), "status": status,
        "background": false, "completed_at": null, "error": null, "incomplete_details": null,
        "instructions": null, "max_output_tokens": null, "model": input.model(), "output": output,
        "parallel_tool_calls": true, "previous_response_id": null, "service_tier": "default",
        "store": true, "temperature": 1.0, "top_p": 1.0, "truncation": "disabled", "usage": null,
        "user": null, "metadata": {}, "text": {"format": {"type": "text"}}, "tool_choice": "auto",
        "tools": [], "reasoning": {"effort": null, "summary": null}, "conversation": null,
    });
    let body = &input.request.body;
    for name in ECHOED {
        if !body[name].is_null() {
            response[name] = body[name].clone();
        }
    }
    if let Some(id) = conversation(body) {
        response["conversation"] = json!({"id": id});
    }
    response
}

/// Returns the id of the conversation that a request belongs to.
fn conversation(body: &Value) -> Option<&str> {
    body["conversation"].as_str().or_else(|| body["conversation"]["id"].as_str())
}

/// Returns the input of the request as items with ids.
fn items(input: &ResponseInput<'_>) -> Value {
    let mut items = match &input.request.body["input"] {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        text => vec![json!({
            "type": "message", "role": "user", "status": "completed",
            "content": [{"type": "input_text", "text": text}],
        })],
    };
    for (at, item) in items.iter_mut().enumerate().filter(|(_, item)| item.is_object()) {
        if item["id"].is_null() {
            item["id"] = format!("{}_{at}", input.id("msg_in_")).into();
        }
    }
    items.into()
}

/// Returns the items of the output.
fn output(input: &ResponseInput<'_>) -> Value {
    let reasoning = reasoning::is_wanted(&input.request.body).then(|| reasoning::item(input));
    reasoning.into_iter().chain([item(input)]).collect()
}

/// Returns the index of the item behind the reasoning.
fn index(input: &ResponseInput<'_>) -> usize {
    usize::from(reasoning::is_wanted(&input.request.body))
}

fn item(input: &ResponseInput<'_>) -> Value {
    match input.output.call() {
        Some(call) => json!({
            "id": input.id("fc_"), "type": "function_call", "status": "completed",
            "call_id": input.id("call_"), "name": call.name, "arguments": call.arguments.to_string(),
        }),
        None => json!({
            "id": input.id("msg_"), "type": "message", "status": "completed", "role": "assistant",
            "content": [part(&input.text())],
        }),
    }
}

/// Returns the output item while it is still empty.
fn empty_item(input: &ResponseInput<'_>) -> Value {
    let mut item = item(input);
    item["status"] = "in_progress".into();
    match input.output.call() {
        Some(_) => item["arguments"] = "".into(),
        None => item["content"] = json!([]),
    }
    item
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

// === impl NumberedEvents ===

impl NumberedEvents {
    fn push(&mut self, part: Part, mut event: Value) {
        event["sequence_number"] = self.events.len().into();
        self.events.push(Event::named(part, &event));
    }
}
