//! An error reported in the stream itself, as its last event, in the dialect of the API that the caller uses.
//!
//! Sources of the shapes: the streaming guides of
//! [OpenAI](https://platform.openai.com/docs/api-reference/responses-streaming/error),
//! [Anthropic](https://platform.claude.com/docs/en/build-with-claude/streaming#error-events) and
//! [Gemini](https://ai.google.dev/gemini-api/docs/troubleshooting).

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Value, json};

use crate::body::guard::StreamErrorKind;
use crate::body::sse::Event;

/// The API dialect of a stream's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EventDialect {
    /// OpenAI's Chat Completions, and every unknown dialect.
    #[default]
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
    /// Gemini.
    Gemini,
}

/// Builds the event that reports an error in a stream.
pub(super) struct InBand {
    dialect: EventDialect,
    /// Whether the dialect was seen in an event, rather than assumed.
    seen: bool,
    events: u64,
}

// === impl EventDialect ===

impl EventDialect {
    /// Returns the dialect of the responses to requests for a path.
    pub(crate) fn of_path(path: &str) -> Self {
        match path.trim_end_matches('/') {
            path if path.ends_with("/responses") => Self::Responses,
            path if path.ends_with("/messages") => Self::Messages,
            path if path.ends_with(":streamGenerateContent") => Self::Gemini,
            _ => Self::Chat,
        }
    }

    fn of_event(event: &Event) -> Option<Self> {
        let has = |hint: &[u8]| memmem::find(event.data(), hint).is_some();
        match event.name() {
            name if name.starts_with("response.") => Some(Self::Responses),
            name if name.starts_with("message_") || name.starts_with("content_block_") => {
                Some(Self::Messages)
            }
            _ if has(b"\"choices\"") => Some(Self::Chat),
            _ if has(b"\"candidates\"") => Some(Self::Gemini),
            _ => None,
        }
    }
}

// === impl InBand ===

impl InBand {
    pub(super) const fn new(supposed: EventDialect) -> Self {
        Self { dialect: supposed, seen: false, events: 0 }
    }

    pub(super) fn see(&mut self, event: &Event) {
        self.events += 1;
        if let Some(dialect) = EventDialect::of_event(event).filter(|_| !self.seen) {
            (self.dialect, self.seen) = (dialect, true);
        }
    }

    /// Returns the event that reports an error. `inside`: another event has begun, and is ended first.
    pub(super) fn event(&self, kind: StreamErrorKind, message: &str, inside: bool) -> Bytes {
        let (name, data) = self.document(kind.as_str(), kind, message);
        let before = if inside { "\n\n" } else { "" };
        Bytes::from(format!("{before}{name}data: {data}\n\n"))
    }

    fn document(&self, code: &str, kind: StreamErrorKind, message: &str) -> (&'static str, Value) {
        match self.dialect {
            EventDialect::Chat => (
                "",
                json!({"error": {"message": message, "type": "stream_error", "param": null, "code": code}}),
            ),
            EventDialect::Responses => (
                "event: error\n",
                json!({"type": "error", "code": code, "message": message, "param": null,
                    "sequence_number": self.events}),
            ),
            EventDialect::Messages => {
                let error = json!({"type": "api_error", "message": message});
                ("event: error\n", json!({"type": "error", "error": error}))
            }
            EventDialect::Gemini => {
                let (code, status) = match kind {
                    StreamErrorKind::Idle => (504, "DEADLINE_EXCEEDED"),
                    _ => (500, "INTERNAL"),
                };
                ("", json!({"error": {"code": code, "message": message, "status": status}}))
            }
        }
    }
}
