//! Reads from one event how far its stream has come.

use serde::Deserialize;
use serde_json::Value;

use crate::body::json;
use crate::body::sse::Event;

/// The meaning of one event for its stream, as returned by [`progress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// No part of the response yet: a ping, `message_start`, a delta with only a role, or an empty chunk.
    Preamble,
    /// A part of the response: text, reasoning, a tool call, or a finish reason.
    Content,
    /// The terminator of the stream.
    End,
    /// An error within the stream.
    Failed,
    /// The data is not valid JSON, which no provider sends.
    Malformed,
}

/// Types of events after which nothing follows: of Anthropic, Cohere v2, Cohere v1, and Responses (two).
pub(super) const TERMINATORS: [&str; 5] =
    ["message_stop", "message-end", "stream-end", "response.completed", "response.incomplete"];

/// Returns the meaning of one event, in any known dialect.
pub(crate) fn progress(event: &Event) -> Progress {
    let data = event.data().trim_ascii();
    // The name alone tells: some servers add a plain text, or nothing.
    if event.name() == "error" {
        return Progress::Failed;
    }
    if data.is_empty() || event.name() == "ping" {
        return Progress::Preamble;
    }
    if data == b"[DONE]" {
        return Progress::End;
    }
    let Some(value) = json::parse(data) else {
        return Progress::Malformed;
    };
    let value = value.get(0).unwrap_or(&value);
    if is_failure(value) {
        return Progress::Failed;
    }
    match value.get("type").or_else(|| value.get("event_type")).and_then(Value::as_str) {
        Some(kind) => by_type(kind, value),
        None => by_parts(value),
    }
}

/// Returns whether an event shows that the model has begun to think: the start of a block of thinking, or a part of it
/// without text. A model that does not show its thoughts sends nothing else for minutes, except keep-alives.
pub(crate) fn begins_thinking(event: &Event) -> bool {
    let Some(value) = json::parse(event.data().trim_ascii()) else { return false };
    let value = value.get(0).unwrap_or(&value);
    let started =
        ["/content_block/type", "/item/type"].iter().filter_map(|kind| value.pointer(kind)?.as_str());
    let delta = value.pointer("/choices/0/delta").and_then(Value::as_object);
    let parts = value.pointer("/candidates/0/content/parts").and_then(Value::as_array);
    started.into_iter().any(|kind| matches!(kind, "thinking" | "redacted_thinking" | "reasoning"))
        || delta.is_some_and(|delta| {
            ["reasoning_content", "reasoning"]
                .iter()
                .any(|name| delta.get(*name).is_some_and(Value::is_string))
        })
        || parts.is_some_and(|parts| parts.iter().any(|part| part.get("thought") == Some(&Value::Bool(true))))
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Ends {
    #[serde(rename = "type")]
    kind: Option<String>,
    event_type: Option<String>,
    pub(super) choices: Vec<Part>,
    pub(super) candidates: Vec<Part>,
    pub(super) delta: Option<Part>,
    #[serde(rename = "promptFeedback")]
    feedback: Option<Feedback>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    pub(super) index: Option<u64>,
    finish_reason: Option<String>,
    #[serde(rename = "finishReason")]
    google: Option<String>,
    stop_reason: Option<String>,
}

/// Gemini's feedback on a prompt. A refused prompt has a reason here, and no candidates follow.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Feedback {
    #[serde(rename = "blockReason")]
    reason: Option<String>,
}

impl Ends {
    pub(super) fn kind(&self) -> &str {
        self.kind.as_deref().or(self.event_type.as_deref()).unwrap_or_default()
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.feedback.as_ref().is_some_and(|feedback| feedback.reason.is_some())
    }
}

impl Part {
    /// Returns whether there is a finish reason. Some providers write an empty one, or the word `null`, until
    /// there is one.
    pub(super) fn is_finished(&self) -> bool {
        let reasons = [&self.finish_reason, &self.google, &self.stop_reason];
        reasons.into_iter().flatten().any(|reason| !reason.is_empty() && reason != "null")
    }
}

fn is_failure(value: &Value) -> bool {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let has_error =
        |holder: Option<&Value>| holder.and_then(|holder| holder.get("error")).is_some_and(is_said);
    let members = ["choices", "candidates", "type", "output", "usage"];
    has_error(Some(value))
        || has_error(value.get("response"))
        || has_error(value.pointer("/choices/0"))
        || matches!(text("type"), "error" | "response.failed")
        || text("object") == "error"
        || (value.get("message").is_some_and(Value::is_string)
            && members.iter().all(|name| value.get(name).is_none()))
}

fn by_type(kind: &str, value: &Value) -> Progress {
    match kind {
        "ping"
        // <https://github.com/openai/openai-node/issues/1964>
        | "keepalive"
        | "message_start"
        | "message-start"
        | "stream-start"
        | "content-start"
        | "content_block_stop"
        | "response.created"
        | "response.queued"
        | "response.in_progress"
        | "response.content_part.added" => Progress::Preamble,
        "content_block_start" => started(value.pointer("/content_block")),
        "response.output_item.added" => started(value.pointer("/item")),
        kind if TERMINATORS.contains(&kind) => Progress::End,
        _ => Progress::Content,
    }
}

/// Classifies the start of a block. It is content if it already says something: a tool's name does, empty
/// text does not.
fn started(block: Option<&Value>) -> Progress {
    let kind = block.and_then(|block| block.get("type")).and_then(Value::as_str).unwrap_or_default();
    match kind {
        "text" | "thinking" | "reasoning" | "message" | "" => Progress::Preamble,
        _ => Progress::Content,
    }
}

fn by_parts(value: &Value) -> Progress {
    let parts = |name: &str| value.get(name).and_then(Value::as_array);
    let said = if let Some(choices) = parts("choices") {
        choices.iter().any(choice_says)
    } else if let Some(candidates) = parts("candidates") {
        candidates.iter().any(candidate_says)
    } else {
        // Gemini's usage alone is no content yet. A document of unknown shape counts as content, so that it
        // is not held back.
        value.get("usageMetadata").is_none() || value.pointer("/promptFeedback/blockReason").is_some()
    };
    if said { Progress::Content } else { Progress::Preamble }
}

fn choice_says(choice: &Value) -> bool {
    const SPEECH: [&str; 9] = [
        "content",
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "refusal",
        "tool_calls",
        "function_call",
        "audio",
        "images",
    ];
    let delta = choice.get("delta").or_else(|| choice.get("message"));
    choice.get("finish_reason").is_some_and(is_said)
        || choice.get("text").is_some_and(is_said)
        || SPEECH.iter().any(|name| delta.and_then(|delta| delta.get(name)).is_some_and(is_said))
}

fn candidate_says(candidate: &Value) -> bool {
    let parts = candidate.pointer("/content/parts").and_then(Value::as_array);
    candidate.get("finishReason").is_some_and(is_said)
        || parts.is_some_and(|parts| parts.iter().any(part_says))
}

fn part_says(part: &Value) -> bool {
    part.as_object().is_some_and(|part| {
        part.iter()
            .any(|(name, value)| !matches!(name.as_str(), "thought" | "thoughtSignature") && is_said(value))
    })
}

fn is_said(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}
