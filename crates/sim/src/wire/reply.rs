//! A response before a fault alters it.

use std::fmt::Display;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use super::header::insert_header;

/// A complete response.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
}

/// The body of a response.
pub(crate) enum Content {
    Whole(Bytes),
    Stream(Vec<Event>),
}

/// One event of a stream, framed for the wire.
pub(crate) struct Event {
    pub(crate) bytes: Bytes,
    pub(crate) part: Part,
}

/// The role of an event within a stream. The place of a fault is counted in content events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Preamble,
    Content,
    Closing,
    Terminator,
}

// === impl Reply ===

impl Reply {
    pub(crate) fn whole(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, content: Content::Whole(body) }
    }

    /// Returns a response whose body is compact JSON.
    pub(super) fn json(status: StatusCode, value: &Value) -> Self {
        Self::whole(status, content_type("application/json"), value.to_string().into())
    }

    /// Returns a response whose body is indented JSON, with a line feed at its end.
    pub(super) fn indented_json(status: StatusCode, value: &Value) -> Self {
        Self::whole(status, content_type("application/json; charset=utf-8"), format!("{value:#}\n").into())
    }

    /// Returns a response whose body is not JSON.
    pub(super) fn binary(kind: &'static str, body: Bytes) -> Self {
        Self::whole(StatusCode::OK, content_type(kind), body)
    }

    pub(super) fn stream(events: Vec<Event>) -> Self {
        let headers = content_type("text/event-stream; charset=utf-8");
        Self { status: StatusCode::OK, headers, content: Content::Stream(events) }
    }

    /// Sets a header. An invalid value leaves the header as it is.
    pub(super) fn with(mut self, name: &'static str, value: impl Display) -> Self {
        insert_header(&mut self.headers, name, value);
        self
    }
}

fn content_type(value: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
    headers
}

// === impl Event ===

impl Event {
    /// Returns an event without a name.
    pub(super) fn data(part: Part, value: &Value) -> Self {
        Self { bytes: format!("data: {value}\n\n").into(), part }
    }

    /// Returns an event that has the type of its data as its name.
    pub(super) fn named(part: Part, value: &Value) -> Self {
        let name = value["type"].as_str().unwrap_or("message");
        Self { bytes: format!("event: {name}\ndata: {value}\n\n").into(), part }
    }
}
