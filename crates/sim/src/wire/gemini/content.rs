//! Gemini's responses.

use http::StatusCode;
use serde_json::{Value, json};

use super::embeddings;
use super::error::error;
use crate::script::Refusal;
use crate::wire::input::ResponseInput;
use crate::wire::openai::chat;
use crate::wire::reply::{Event, Part, Reply};
use crate::wire::route::{Endpoint, Format, Framing};

/// Returns the response to a call that passed all checks.
pub(super) fn respond(input: &ResponseInput<'_>) -> Reply {
    let value = match input.request.route.endpoint {
        Endpoint::Embeddings => return embeddings::respond(input),
        Endpoint::CountTokens => json!({
            "totalTokens": input.prompt_tokens(),
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": input.prompt_tokens()}],
        }),
        Endpoint::Models => {
            let all: Vec<Value> = input.models.listed().iter().map(|id| model(id)).collect();
            json!({"models": all})
        }
        Endpoint::Model => model(input.model()),
        _ if input.request.fields.streamed => return stream(input),
        _ => chunk(input, parts(input), Some("STOP"), input.completion_tokens()),
    };
    Reply::json(StatusCode::OK, &value)
}

fn model(id: &str) -> Value {
    let methods = match id.contains("embedding") {
        true => json!(["embedContent", "countTextTokens", "countTokens"]),
        false => json!(["generateContent", "countTokens", "createCachedContent", "batchGenerateContent"]),
    };
    json!({
        "name": format!("models/{id}"), "version": "001", "displayName": id, "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536, "supportedGenerationMethods": methods,
    })
}

/// Returns an error as an event of a stream. `is_first` says that no element of the stream was sent before it.
pub(in crate::wire) fn error_event(input: &ResponseInput<'_>, refusal: &Refusal, is_first: bool) -> Event {
    let (_, value) = error(input, refusal);
    let before = if is_first { "[" } else { ",\r\n" };
    match input.request.route.framing {
        Framing::Array => Event { bytes: format!("{before}{value}\n]").into(), part: Part::Closing },
        Framing::Sse | Framing::Whole => Event::data(Part::Closing, &value),
    }
}

/// Returns the response to a blocked prompt: status 200 without candidates.
pub(super) fn filtered(input: &ResponseInput<'_>) -> Reply {
    if input.request.route.format == Format::GeminiCompat {
        return Reply::json(StatusCode::OK, &chat::filtered(input));
    }
    let value = json!({
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": input.prompt_tokens(), "totalTokenCount": input.prompt_tokens()},
        "modelVersion": input.model(),
    });
    match input.request.route.framing {
        Framing::Whole => Reply::json(StatusCode::OK, &value),
        Framing::Sse => Reply::stream(vec![Event::data(Part::Terminator, &value)]),
        Framing::Array => Reply::json(StatusCode::OK, &json!([value])),
    }
}

fn parts(input: &ResponseInput<'_>) -> Value {
    match input.output.call() {
        Some(call) => json!([{"functionCall": {"name": call.name, "args": call.arguments}}]),
        None => json!([{"text": input.text()}]),
    }
}

fn chunk(input: &ResponseInput<'_>, parts: Value, finish: Option<&str>, so_far: u64) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": input.prompt_tokens(),
            "candidatesTokenCount": so_far,
            "totalTokenCount": input.prompt_tokens() + so_far,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": input.prompt_tokens()}],
        },
        "modelVersion": input.model(),
        "responseId": input.id("sim"),
    })
}

fn stream(input: &ResponseInput<'_>) -> Reply {
    let mut chunks: Vec<(Part, Value)> = match input.output.call() {
        Some(_) => vec![(Part::Content, chunk(input, parts(input), None, input.completion_tokens()))],
        None => (1..)
            .zip(input.output.pieces())
            .map(|(so_far, piece)| (Part::Content, chunk(input, json!([{"text": piece}]), None, so_far)))
            .collect(),
    };
    let last = chunk(input, json!([{"text": ""}]), Some("STOP"), input.completion_tokens());
    chunks.push((Part::Terminator, last));
    match input.request.route.framing {
        Framing::Array => array(&chunks),
        Framing::Sse | Framing::Whole => {
            Reply::stream(chunks.iter().map(|(part, value)| Event::data(*part, value)).collect())
        }
    }
}

fn array(chunks: &[(Part, Value)]) -> Reply {
    let last = chunks.len().saturating_sub(1);
    let event = |(at, (part, value)): (usize, &(Part, Value))| {
        let before = if at == 0 { "[" } else { ",\r\n" };
        let after = if at == last { "\n]" } else { "" };
        Event { bytes: format!("{before}{value}{after}").into(), part: *part }
    };
    let events = chunks.iter().enumerate().map(event).collect();
    Reply::stream(events).with("content-type", "application/json; charset=UTF-8")
}
