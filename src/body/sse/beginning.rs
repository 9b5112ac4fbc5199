//! The beginning of an event stream, for servers that do not say what they send.

/// A mark that may come before any text in UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The beginnings of the first line of an event stream: a field or a comment.
const BEGINNINGS: [&[u8]; 3] = [b"data:", b"event:", b": "];

/// Returns whether data look like the beginning of an event stream.
pub(crate) fn begins_stream(data: &[u8]) -> bool {
    let text = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data).trim_ascii_start();
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}
