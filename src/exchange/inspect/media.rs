//! The kind of a response's body, according to its headers.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;

use crate::body::is_identity;

/// The media type of JSON, as nearly all providers write it.
const JSON: &[u8] = b"application/json";

/// Returns whether the response is a successful event stream that can be read.
pub(crate) fn is_stream<B>(response: &Response<B>) -> bool {
    let headers = response.headers();
    response.status().is_success() && is_event_stream(headers) && is_readable(headers)
}

/// Returns whether the response is a success whose body is a JSON document, and not a part of one.
pub(crate) fn is_document<B>(response: &Response<B>) -> bool {
    let (status, headers) = (response.status(), response.headers());
    status.is_success() && status != StatusCode::PARTIAL_CONTENT && is_json(headers) && is_readable(headers)
}

/// Removes the length of an event stream that is to be guarded. The stream ends when its response is complete,
/// which may be before the stated length, and a server that has promised that length would cut the connection.
pub(crate) fn forget_length<B: Body>(response: &mut Response<B>) {
    if is_stream(response) && !response.body().is_end_stream() {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    Media::of(headers) == Media::Events
}

/// The kind of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// Server-sent events.
    Events,
    /// Another stream of items, each of which may be an error: lines of JSON, or AWS's event stream frames.
    Items,
    Content,
}

impl Media {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        const ITEMS: [&[u8]; 6] =
            [b"eventstream", b"ndjson", b"jsonl", b"json-lines", b"json-seq", b"stream+json"];
        let Some(essence) = essence(headers) else { return Self::Content };
        let is = |name: &[u8]| essence.eq_ignore_ascii_case(name);
        let ends = |end: &&[u8]| {
            let start = essence.len().checked_sub(end.len());
            start.is_some_and(|start| essence[start..].eq_ignore_ascii_case(end))
        };
        match () {
            () if essence == JSON || is(JSON) => Self::Content,
            () if is(b"text/event-stream") => Self::Events,
            () if ITEMS.iter().any(ends) => Self::Items,
            () => Self::Content,
        }
    }
}

/// Returns whether the type is `application/json`, `text/json` or ends with `+json`, and is not a stream of JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(essence) = essence(headers) else { return false };
    let is = |name: &[u8]| essence.eq_ignore_ascii_case(name);
    let suffix = essence.len().checked_sub(5).map(|at| &essence[at..]).unwrap_or_default();
    essence == JSON
        || is(JSON)
        || is(b"text/json")
        || suffix.eq_ignore_ascii_case(b"+json") && !is(b"application/stream+json")
}

/// Returns the media type without its parameters. Of a list, which is a header that was set twice, the first one.
fn essence(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    if value == JSON {
        return Some(value);
    }
    let end = memchr::memchr2(b';', b',', value).unwrap_or(value.len());
    Some(value[..end].trim_ascii())
}

/// Returns whether a body can be read without decoding.
pub(crate) fn is_readable(headers: &HeaderMap) -> bool {
    is_identity(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_told_however_it_is_written() {
        for (value, media, json) in [
            ("application/json", Media::Content, true),
            ("Application/JSON ; charset=utf-8", Media::Content, true),
            ("application/json, application/json", Media::Content, true),
            ("text/json", Media::Content, true),
            ("text/event-stream,text/event-stream", Media::Events, false),
            ("TEXT/event-stream;charset=utf-8", Media::Events, false),
            ("application/x-ndjson", Media::Items, false),
            ("text/plain", Media::Content, false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!((Media::of(&headers), is_json(&headers)), (media, json), "{value}");
        }
    }
}
