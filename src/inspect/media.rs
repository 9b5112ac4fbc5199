//! What a response's headers say of its body.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};

use crate::body::is_identity;

/// Whether the answer is an event stream that can be read.
pub(crate) fn is_stream<B>(response: &Response<B>) -> bool {
    let headers = response.headers();
    response.status().is_success() && is_event_stream(headers) && is_readable(headers)
}

pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    essence(headers).is_some_and(|essence| essence.eq_ignore_ascii_case(b"text/event-stream"))
}

/// Whether a success is a stream of items of which each may be an error: events, lines of JSON, AWS's frames.
pub(super) fn may_hold_errors(headers: &HeaderMap) -> bool {
    const STREAMS: [&[u8]; 7] =
        [b"event-stream", b"eventstream", b"ndjson", b"jsonl", b"json-lines", b"json-seq", b"stream+json"];
    let ends = |essence: &[u8], end: &[u8]| {
        let start = essence.len().checked_sub(end.len());
        start.is_some_and(|start| essence[start..].eq_ignore_ascii_case(end))
    };
    essence(headers).is_some_and(|essence| STREAMS.iter().any(|end| ends(essence, end)))
}

/// The media type, without its parameters.
fn essence(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(CONTENT_TYPE)?;
    value.as_bytes().split(|byte| *byte == b';').next().map(<[u8]>::trim_ascii)
}

/// Whether a body can be read as it comes.
pub(crate) fn is_readable(headers: &HeaderMap) -> bool {
    is_identity(headers)
}
