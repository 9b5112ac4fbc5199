//! The kind of a response's body, according to its headers.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Body;

use crate::body::{Shape, is_identity};

/// The facts about a body that its headers state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyFacts {
    pub(crate) media: Media,
    /// Whether the body can be read without decoding.
    pub(crate) is_readable: bool,
    /// Whether a length is stated.
    pub(crate) has_length: bool,
    /// Whether a length is stated beside chunks, which have a length of their own, or several times.
    pub(crate) has_void_length: bool,
}

/// The kind of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// Server-sent events.
    Events,
    /// Lines of JSON.
    Lines,
    /// AWS's event stream frames.
    Frames,
    /// One JSON document.
    Json,
    Other,
}

/// Returns whether the response is a successful event stream that can be read.
pub(crate) fn is_stream<B>(response: &Response<B>) -> bool {
    let facts = BodyFacts::of(response.headers());
    response.status().is_success() && facts.media == Media::Events && facts.is_readable
}

/// Returns the shape of the response, if it is a success.
pub(crate) fn shape<B>(response: &Response<B>) -> Shape {
    BodyFacts::of(response.headers()).shape(response.status())
}

/// Returns whether a success with this status has a body. `is_head`: the request is a HEAD.
pub(crate) const fn has_body(is_head: bool, status: StatusCode) -> bool {
    !is_head && !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT)
}

/// Removes the length of a stream or a document whose end is checked, unless it has no body. A stream ends when its
/// response is complete, which may be before the stated length, and a server that has promised that length would cut the
/// connection. A document may end in an error, and a server sends none behind the last byte of a length.
pub(crate) fn forget_length<B: Body>(response: &mut Response<B>) {
    if !response.body().is_end_stream() {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}

// === impl BodyFacts ===

impl BodyFacts {
    /// Reads the facts in one pass, because a lookup of each header costs more, absent or not.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let (mut media, mut has_encoding, mut has_length, mut in_chunks) = (None, false, false, false);
        let mut repeats_length = false;
        for (name, value) in headers {
            if *name == CONTENT_TYPE {
                media = media.or_else(|| Some(Media::of(value)));
            } else if *name == CONTENT_LENGTH {
                repeats_length |= has_length || !value.as_bytes().iter().all(u8::is_ascii_digit);
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
            has_length,
            has_void_length: has_length && in_chunks || repeats_length,
        }
    }

    /// Returns the shape of a body under this status, if it is readable and not a part of one. Lines and frames of a stated
    /// length have that length.
    pub(crate) fn shape(self, status: StatusCode) -> Shape {
        let is_whole = status.is_success() && status != StatusCode::PARTIAL_CONTENT;
        match self.media {
            _ if !is_whole || !self.is_readable => Shape::Other,
            Media::Json => Shape::Document,
            Media::Lines if !self.has_length => Shape::Lines,
            Media::Frames if !self.has_length => Shape::Frames,
            Media::Lines | Media::Frames | Media::Events | Media::Other => Shape::Other,
        }
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
        const LINES: [&[u8]; 5] = [b"ndjson", b"jsonl", b"json-lines", b"json-seq", b"stream+json"];
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
            () if LINES.iter().any(|end| ends(end)) => Self::Lines,
            () if ends(b"eventstream") => Self::Frames,
            () if ends(b"+json") => Self::Json,
            () => Self::Other,
        }
    }

    /// Returns whether the body is a stream of items, each of which may be an error.
    pub(crate) const fn has_items(self) -> bool {
        matches!(self, Self::Events | Self::Lines | Self::Frames)
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
            ("application/x-ndjson", Media::Lines),
            ("application/stream+json", Media::Lines),
            ("application/vnd.amazon.eventstream", Media::Frames),
            ("text/plain", Media::Other),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(BodyFacts::of(&headers).media, media, "{value}");
        }
    }
}
