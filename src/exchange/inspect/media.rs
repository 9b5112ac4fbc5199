//! The kind of a response's body, according to its headers.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Body;

use crate::body::is_identity;

/// The facts about a body that its headers state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyFacts {
    pub(crate) media: Media,
    /// Whether the body can be read without decoding.
    pub(crate) is_readable: bool,
    /// Whether a length is stated beside chunks, which have a length of their own.
    pub(crate) has_void_length: bool,
}

/// The kind of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// Server-sent events.
    Events,
    /// Another stream of items, each of which may be an error: lines of JSON, or AWS's event stream frames.
    Items,
    /// One JSON document.
    Json,
    Other,
}

/// Returns whether the response is a successful event stream that can be read.
pub(crate) fn is_stream<B>(response: &Response<B>) -> bool {
    let facts = BodyFacts::of(response.headers());
    response.status().is_success() && facts.media == Media::Events && facts.is_readable
}

/// Returns whether the response is a success whose body is a JSON document, and not a part of one.
pub(crate) fn is_document<B>(response: &Response<B>) -> bool {
    BodyFacts::of(response.headers()).are_of_document(response.status())
}

/// Returns whether a success with this status has a body. `is_head`: the request is a HEAD.
pub(crate) const fn has_body(is_head: bool, status: StatusCode) -> bool {
    !is_head && !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT)
}

/// Removes the length of an event stream that is to be guarded. The stream ends when its response is complete,
/// which may be before the stated length, and a server that has promised that length would cut the connection.
pub(crate) fn forget_length<B: Body>(response: &mut Response<B>) {
    if is_stream(response) && !response.body().is_end_stream() {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}

// === impl BodyFacts ===

impl BodyFacts {
    /// Reads the facts in one pass, because a lookup of each header costs more, absent or not.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let (mut media, mut has_encoding, mut has_length, mut in_chunks) = (None, false, false, false);
        for (name, value) in headers {
            if *name == CONTENT_TYPE {
                media = media.or_else(|| Some(Media::of(value)));
            } else if *name == CONTENT_LENGTH {
                has_length = true;
            } else if *name == TRANSFER_ENCODING {
                in_chunks = true;
            } else if *name == CONTENT_ENCODING {
                has_encoding = true;
            }
        }
        Self {
            media: media.unwrap_or(Media::Other),
            is_readable: !has_encoding || is_identity(headers),
            has_void_length: has_length && in_chunks,
        }
    }

    /// Returns whether a body under this status is a readable JSON document, and not a part of one.
    pub(crate) fn are_of_document(self, status: StatusCode) -> bool {
        let is_whole = status.is_success() && status != StatusCode::PARTIAL_CONTENT;
        is_whole && self.media == Media::Json && self.is_readable
    }
}

// === impl Media ===

impl Media {
    /// Returns the kind that a media type names.
    fn of(content_type: &HeaderValue) -> Self {
        let value = content_type.as_bytes();
        // As nearly all providers write it.
        if value == b"application/json" {
            return Self::Json;
        }
        Self::of_any(value)
    }

    #[inline(never)]
    fn of_any(value: &[u8]) -> Self {
        const ITEMS: [&[u8]; 6] =
            [b"eventstream", b"ndjson", b"jsonl", b"json-lines", b"json-seq", b"stream+json"];
        // Of a list, which is a header that was set twice, the first one counts.
        let end = memchr::memchr2(b';', b',', value).unwrap_or(value.len());
        let essence = value[..end].trim_ascii();
        let is = |name: &[u8]| essence.eq_ignore_ascii_case(name);
        let ends = |end: &[u8]| {
            let start = essence.len().checked_sub(end.len());
            start.is_some_and(|start| essence[start..].eq_ignore_ascii_case(end))
        };
        match () {
            () if is(b"application/json") || is(b"text/json") => Self::Json,
            () if is(b"text/event-stream") => Self::Events,
            () if ITEMS.iter().any(|end| ends(end)) => Self::Items,
            () if ends(b"+json") => Self::Json,
            () => Self::Other,
        }
    }

    /// Returns whether the body is a stream of items, each of which may be an error.
    pub(crate) const fn has_items(self) -> bool {
        matches!(self, Self::Events | Self::Items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_told_however_it_is_written() {
        for (value, media) in [
            ("application/json", Media::Json),
            ("Application/JSON ; charset=utf-8", Media::Json),
            ("application/json, application/json", Media::Json),
            ("application/problem+json", Media::Json),
            ("text/json", Media::Json),
            ("text/event-stream,text/event-stream", Media::Events),
            ("TEXT/event-stream;charset=utf-8", Media::Events),
            ("application/x-ndjson", Media::Items),
            ("application/stream+json", Media::Items),
            ("text/plain", Media::Other),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(BodyFacts::of(&headers).media, media, "{value}");
        }
    }
}
