//! The response to a call before a fault spoils it.

use std::fmt::Display;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use super::refusal::Refusal;
use super::route::{Endpoint, Voice};
use super::scene::Scene;
use super::{anthropic, chat, gemini, openai, responses};

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
}

pub(super) enum Content {
    Whole(Bytes),
    Stream(Vec<Event>),
}

pub(super) struct Event {
    pub(super) bytes: Bytes,
    pub(super) part: Part,
}

/// The role of an event within a stream. Faults strike before a content event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Preamble,
    Content,
    Closing,
    Terminator,
}

// === impl Reply ===

impl Reply {
    pub(super) fn whole(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, content: Content::Whole(body) }
    }

    pub(super) fn json(status: StatusCode, value: &Value) -> Self {
        Self::whole(status, content_type("application/json"), value.to_string().into())
    }

    pub(super) fn pretty(status: StatusCode, value: &Value) -> Self {
        Self::whole(status, content_type("application/json; charset=utf-8"), format!("{value:#}\n").into())
    }

    pub(super) fn stream(events: Vec<Event>) -> Self {
        let headers = content_type("text/event-stream; charset=utf-8");
        Self { status: StatusCode::OK, headers, content: Content::Stream(events) }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Display) -> Self {
        super::scene::put(&mut self.headers, name, value);
        self
    }
}

/// Returns the response to a call that was admitted.
pub(super) fn answer(scene: &Scene<'_>) -> Reply {
    let route = &scene.asked.route;
    match (route.voice, route.endpoint) {
        (Voice::OpenAi, Endpoint::Responses) => openai::dress(responses::answer(scene), scene),
        (Voice::OpenAi, _) => openai::dress(chat::answer(scene), scene),
        (Voice::GeminiCompat, _) => gemini::dress(chat::answer(scene)),
        (Voice::AnthropicCompat, _) => anthropic::dress(chat::answer(scene), scene),
        (Voice::Anthropic, _) => anthropic::dress(anthropic::answer(scene), scene),
        (Voice::Gemini, _) => gemini::dress(gemini::answer(scene)),
    }
}

/// Returns an error as the response.
pub(super) fn refuse(scene: &Scene<'_>, refusal: &Refusal) -> Reply {
    match scene.asked.route.voice {
        Voice::OpenAi => openai::refuse(scene, refusal),
        Voice::Anthropic | Voice::AnthropicCompat => anthropic::refuse(scene, refusal),
        Voice::Gemini | Voice::GeminiCompat => gemini::refuse(scene, refusal),
    }
}

/// Returns an error as an event of a stream that has begun with status 200. `first` says that no event was
/// sent before it.
pub(super) fn error_event(scene: &Scene<'_>, refusal: &Refusal, first: bool) -> Event {
    let bytes = match (scene.asked.route.voice, scene.asked.route.endpoint) {
        (Voice::OpenAi, Endpoint::Responses) => responses::error_event(scene, refusal),
        (Voice::OpenAi, _) => data(&openai::error(scene, refusal).1),
        (Voice::Anthropic, _) => named("error", &anthropic::error(scene, refusal).1),
        (Voice::AnthropicCompat, _) => data(&anthropic::compatible_error(scene, refusal).1),
        (Voice::Gemini, _) => gemini::error_event(scene, refusal, first),
        (Voice::GeminiCompat, _) => data(&gemini::error(scene, refusal).1),
    };
    Event { bytes, part: Part::Closing }
}

// === impl Event ===

impl Event {
    pub(super) fn data(part: Part, value: &Value) -> Self {
        Self { bytes: data(value), part }
    }

    pub(super) fn named(part: Part, value: &Value) -> Self {
        Self { bytes: named(value["type"].as_str().unwrap_or("message"), value), part }
    }
}

pub(super) fn data(value: &Value) -> Bytes {
    format!("data: {value}\n\n").into()
}

fn named(name: &str, value: &Value) -> Bytes {
    format!("event: {name}\ndata: {value}\n\n").into()
}

fn content_type(value: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
    headers
}
