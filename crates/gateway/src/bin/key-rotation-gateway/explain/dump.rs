//! A response as `curl -i` prints it: status line, headers, a blank line, the body.
//!
//! There may be several heads, after redirects, `100 Continue` or a proxy's `CONNECT`; the last one counts. curl prints a
//! body without its chunks, and still compressed unless it has `--compressed`; a body in another form is an error.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};

use crate::explain::record::{Record, append};

/// Parses a response. Lines end in CRLF or LF. An error begins with the number of its line.
pub(super) fn parse(dump: &[u8]) -> Result<Record, String> {
    let mut lines = Lines { rest: dump, number: 0 };
    while lines.peek().is_some_and(<[u8]>::is_empty) {
        lines.take();
    }
    let (mut status, mut headers) = head(&mut lines)?;
    while is_status_line(lines.peek()) {
        (status, headers) = head(&mut lines)?;
    }
    match unreadable(&headers, &lines) {
        Some(how) => Err(format!("line {}: {how}", lines.number + 1)),
        None => Ok(Record::new(status, headers, Bytes::copy_from_slice(lines.rest))),
    }
}

/// Returns the reason for which the body that follows is not the one that the gateway would read.
fn unreadable(headers: &HeaderMap, lines: &Lines<'_>) -> Option<&'static str> {
    if headers.contains_key(TRANSFER_ENCODING) && lines.peek().is_some_and(is_chunk_size) {
        return Some("the body is in chunks: call curl without --raw");
    }
    let is_text = std::str::from_utf8(lines.rest).is_ok();
    (headers.contains_key(CONTENT_ENCODING) && !is_text)
        .then_some("the body is compressed: call curl with --compressed")
}

/// Returns whether a line is the size of a chunk, perhaps with an extension.
fn is_chunk_size(line: &[u8]) -> bool {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit)
}

/// The lines that have not been read.
struct Lines<'a> {
    rest: &'a [u8],
    /// Number of the last line that was read.
    number: usize,
}

fn head(lines: &mut Lines<'_>) -> Result<(StatusCode, HeaderMap), String> {
    let Some(first) = lines.take() else { return Err("line 1: nothing to read".to_owned()) };
    let status = status(first).ok_or_else(|| {
        format!(
            "line {}: not a status line: expected `HTTP/1.1 402 Payment Required` or `HTTP/2 402`",
            lines.number
        )
    })?;
    let mut headers = HeaderMap::new();
    while let Some(line) = lines.take() {
        if line.is_empty() {
            return Ok((status, headers));
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let colon =
            colon.ok_or_else(|| format!("line {}: not a header: expected `name: value`", lines.number))?;
        append(&mut headers, line[..colon].trim_ascii(), line[colon + 1..].trim_ascii())
            .map_err(|error| format!("line {}: {error}", lines.number))?;
    }
    Ok((status, headers))
}

fn is_status_line(line: Option<&[u8]>) -> bool {
    line.is_some_and(|line| status(line).is_some())
}

/// Returns the status of a status line.
fn status(line: &[u8]) -> Option<StatusCode> {
    let line = std::str::from_utf8(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)).ok()?;
    let (version, rest) = line.strip_prefix("HTTP/")?.split_once(' ')?;
    let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let code = rest.split(' ').next().filter(|code| code.len() == 3 && is_version)?;
    StatusCode::from_bytes(code.as_bytes()).ok()
}

// === impl Lines ===

impl<'a> Lines<'a> {
    /// Returns the next line without its end, and leaves it unread.
    fn peek(&self) -> Option<&'a [u8]> {
        let line = self.rest.split(|byte| *byte == b'\n').next().filter(|_| !self.rest.is_empty())?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Reads the next line.
    fn take(&mut self) -> Option<&'a [u8]> {
        let line = self.peek()?;
        let end = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |at| at + 1);
        self.rest = &self.rest[end..];
        self.number += 1;
        Some(line)
    }
}
