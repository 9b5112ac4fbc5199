//! A decoder of server-sent events.
//!
//! The decoder takes chunks as the network delivers them and yields whole events, by the rules of the [WHATWG
//! HTML standard](https://html.spec.whatwg.org/multipage/server-sent-events.html): lines end with LF, CR or
//! CRLF, a byte order mark may open the stream, comments are skipped, and several `data` lines are joined.
//!
//! It differs from the standard in one rule. The standard discards an event that the end of the stream cuts
//! off. That is often the event in which a provider says why it closed the connection, so [`Decoder::finish`]
//! returns it.
//!
//! An event whose only `data` line lies within one chunk is a slice of that chunk; nothing is copied. The
//! size of an event is bounded. A larger event is reported as [`Overflow`] and dropped up to its end, and the
//! events after it are decoded as if it had not been there.

mod beginning;
mod event;

use std::collections::VecDeque;
use std::{fmt, mem, str};

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr2;

pub(crate) use self::beginning::{BYTE_ORDER_MARK, begins_stream};
pub use self::event::Event;

/// Default maximum size of one event, in bytes: 1 MiB.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// Splits an event stream into [`Event`]s.
///
/// ```
/// use bytes::Bytes;
/// use tower_key_rotation::body::sse::Decoder;
///
/// let mut decoder = Decoder::new();
/// decoder.push(Bytes::from_static(b": keep-alive\n\ndata: {\"a\""));
/// assert!(decoder.next_event()?.is_none());
///
/// decoder.push(Bytes::from_static(b":1}\r\n\r\n"));
/// let event = decoder.next_event()?.expect("an event");
/// assert_eq!(event.data(), br#"{"a":1}"#);
/// # Ok::<(), tower_key_rotation::body::sse::Overflow>(())
/// ```
pub struct Decoder {
    /// Chunks that are not read yet.
    input: VecDeque<Bytes>,
    /// Beginning of a line whose end has not arrived. While an event is discarded, only its first byte is kept.
    line: BytesMut,
    name: Bytes,
    data: Data,
    /// Status in a comment of the current event.
    status: Option<u16>,
    max: usize,
    /// Whether the last line ended with a CR. An LF right behind it, even in the next chunk, belongs to that end.
    after_cr: bool,
    /// Whether no line has been read yet.
    at_start: bool,
    /// Whether the current event is too large. All of it is dropped, up to its blank line.
    discarding: bool,
}

enum Data {
    None,
    Line(Bytes),
    Lines(BytesMut),
}

/// The error for an event that is larger than allowed. The decoder has dropped the event and continues with
/// the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {max} bytes")]
pub struct Overflow {
    max: usize,
}

// === impl Decoder ===

impl Decoder {
    /// Creates a decoder for one stream, with a maximum of [`MAX_EVENT_BYTES`] per event.
    pub fn new() -> Self {
        Self::with_max_event_bytes(MAX_EVENT_BYTES)
    }

    /// Creates a decoder that drops events of more than `max` bytes.
    pub fn with_max_event_bytes(max: usize) -> Self {
        Self {
            input: VecDeque::new(),
            line: BytesMut::new(),
            name: Bytes::new(),
            data: Data::None,
            status: None,
            max,
            after_cr: false,
            at_start: true,
            discarding: false,
        }
    }

    /// Adds the next chunk of the stream. This is cheap: [`next_event`](Self::next_event) does the work.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.input.push_back(chunk);
        }
    }

    /// Returns the next whole event. `None` if more chunks are needed.
    ///
    /// # Errors
    ///
    /// Returns [`Overflow`], once, for an event that is larger than allowed. The next call continues behind
    /// it.
    pub fn next_event(&mut self) -> Result<Option<Event>, Overflow> {
        while let Some(line) = self.next_line()? {
            if let Some(event) = self.take_line(line)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Returns the event that the end of the stream cut off: it has data and lacks its blank line.
    ///
    /// Call it after [`next_event`](Self::next_event) has returned `None`. It resets the decoder, which can
    /// then decode another stream.
    pub fn finish(&mut self) -> Option<Event> {
        let rest = self.line.split().freeze();
        let cut = if rest.is_empty() || self.discarding { Ok(None) } else { self.take_line(rest) };
        let event = cut.ok().flatten().or_else(|| self.dispatch());
        *self = Self::with_max_event_bytes(self.max);
        event
    }

    /// Returns whether the stream so far ends within an event or a line.
    pub(crate) fn is_inside_event(&self) -> bool {
        !self.line.is_empty() || !self.input.is_empty() || !matches!(self.data, Data::None)
    }

    /// Returns the number of bytes of an event that has begun, without comments. Zero for an event that is too large.
    pub(crate) fn pending(&self) -> usize {
        let is_comment = self.line.first() == Some(&b':');
        self.data.len() + if is_comment { 0 } else { self.line.len() }
    }

    /// Returns the number of bytes that were pushed and are not read yet.
    pub(crate) fn remaining(&self) -> usize {
        self.input.iter().map(Bytes::len).sum()
    }

    fn next_line(&mut self) -> Result<Option<Bytes>, Overflow> {
        while let Some(chunk) = self.input.front_mut() {
            if mem::take(&mut self.after_cr) && chunk.first() == Some(&b'\n') {
                chunk.advance(1);
            }
            let Some(end) = memchr2(b'\n', b'\r', chunk) else {
                self.keep_tail()?;
                continue;
            };
            let head = chunk.split_to(end);
            self.after_cr = chunk.first() == Some(&b'\r');
            chunk.advance(1);
            if chunk.is_empty() {
                self.input.pop_front();
            }
            return self.complete(head).map(Some);
        }
        Ok(None)
    }

    fn complete(&mut self, head: Bytes) -> Result<Bytes, Overflow> {
        if self.line.is_empty() {
            return Ok(head);
        }
        if self.discarding {
            return Ok(self.line.split().freeze());
        }
        if let Err(overflow) = self.reserve(head.len()) {
            self.line.clear();
            return Err(overflow);
        }
        self.line.extend_from_slice(&head);
        Ok(self.line.split().freeze())
    }

    fn keep_tail(&mut self) -> Result<(), Overflow> {
        let Some(tail) = self.input.pop_front() else { return Ok(()) };
        if !self.discarding {
            self.reserve(tail.len())?;
            self.line.extend_from_slice(&tail);
        } else if self.line.is_empty() {
            self.line.extend_from_slice(&tail[..tail.len().min(1)]);
        }
        Ok(())
    }

    fn reserve(&mut self, more: usize) -> Result<(), Overflow> {
        if self.line.len() + self.data.len() + more <= self.max {
            return Ok(());
        }
        self.line.clear();
        // A line that is not empty: its end must not count as the blank line that ends the event.
        self.line.extend_from_slice(b":");
        Err(self.discard())
    }

    fn discard(&mut self) -> Overflow {
        self.discarding = true;
        self.data = Data::None;
        Overflow { max: self.max }
    }

    fn take_line(&mut self, mut line: Bytes) -> Result<Option<Event>, Overflow> {
        if mem::take(&mut self.at_start) && line.starts_with(BYTE_ORDER_MARK) {
            line.advance(BYTE_ORDER_MARK.len());
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        if self.discarding {
            return Ok(None);
        }
        let (field, value) = split_field(&line);
        match field {
            b"data" => self.append(line.slice_ref(value))?,
            b"event" => self.name = line.slice_ref(value),
            b"" => self.status = status_in(value).or(self.status),
            _ => {}
        }
        Ok(None)
    }

    fn append(&mut self, value: Bytes) -> Result<(), Overflow> {
        if self.data.len() + value.len() > self.max {
            return Err(self.discard());
        }
        self.data = match mem::replace(&mut self.data, Data::None) {
            Data::None => Data::Line(value),
            Data::Line(first) => Data::Lines(joined(BytesMut::from(&first[..]), &value)),
            Data::Lines(lines) => Data::Lines(joined(lines, &value)),
        };
        Ok(())
    }

    fn dispatch(&mut self) -> Option<Event> {
        let (name, status) = (mem::take(&mut self.name), mem::take(&mut self.status));
        let data = match mem::replace(&mut self.data, Data::None) {
            Data::None => None,
            Data::Line(line) => Some(line),
            Data::Lines(lines) => Some(lines.freeze()),
        };
        let discarded = mem::take(&mut self.discarding);
        data.filter(|_| !discarded).map(|data| Event::new(name, data).with_status(status))
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buffered = self.line.len() + self.data.len();
        f.debug_struct("Decoder").field("buffered", &buffered).finish_non_exhaustive()
    }
}

// === impl Data ===

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Line(line) => line.len(),
            Self::Lines(lines) => lines.len(),
        }
    }
}

fn joined(mut lines: BytesMut, line: &[u8]) -> BytesMut {
    lines.extend_from_slice(b"\n");
    lines.extend_from_slice(line);
    lines
}

/// Returns the HTTP status in a comment.
fn status_in(comment: &[u8]) -> Option<u16> {
    str::from_utf8(comment.strip_prefix(b"HTTP_STATUS/")?.trim_ascii()).ok()?.parse().ok()
}

fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b':', line) {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, &line[line.len()..]),
    }
}
