//! The search of a multipart form for the fields named `model`, piece by piece.

use memchr::memmem::{self, Finder};
use percent_encoding::percent_decode_str;

use crate::provider::search::found::{Found, MOST, Place};

pub(super) fn is_form(content_type: &[u8]) -> bool {
    const FORM: &[u8] = b"multipart/form-data";
    let start = content_type.trim_ascii_start().get(..FORM.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(FORM))
}

/// The search of one form.
pub(crate) struct FormSearch {
    /// A line break, two hyphens and the boundary.
    delimiter: Finder<'static>,
    /// The end of the data so far, which may be the beginning of a delimiter.
    tail: Vec<u8>,
    /// Position of the tail, where the body begins at the length of a line break.
    at: u64,
    /// The beginning of the current part, behind its delimiter. `None`: before the first delimiter.
    part: Option<Vec<u8>>,
    /// Position of the current part.
    part_at: u64,
    places: Vec<Place>,
    is_whole: bool,
    has_ended: bool,
}

/// Maximum number of bytes of a part that are read (16 KiB): its head, and the value of a field that is no file.
const PART: usize = 16 * 1024;

/// Maximum number of bytes that are joined with the tail at a time (64 KiB).
const STEP: usize = 64 * 1024;

/// The line break before a delimiter. The body may begin with a delimiter without one.
const LINE_BREAK: &[u8] = b"\r\n";

// === impl FormSearch ===

impl FormSearch {
    /// Returns `None` if the content type names no boundary.
    pub(super) fn new(content_type: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content_type).ok().filter(|text| text.is_ascii())?;
        let delimiter = format!("\r\n--{}", parameter(text, "boundary")?);
        Some(Self {
            delimiter: Finder::new(delimiter.as_bytes()).into_owned(),
            tail: LINE_BREAK.to_vec(),
            at: 0,
            part: None,
            part_at: 0,
            places: Vec::new(),
            is_whole: true,
            has_ended: false,
        })
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        for step in piece.chunks(STEP) {
            let mut joined = std::mem::take(&mut self.tail);
            joined.extend_from_slice(step);
            let rest = self.read(&joined);
            self.at += rest as u64;
            joined.drain(..rest);
            self.tail = joined;
        }
    }

    pub(super) fn finish(&mut self) -> Found {
        // Without a delimiter it is no form, and without the last one it is no whole form.
        let last = self.part.iter().flatten().chain(&self.tail).take(2);
        let is_whole = self.is_whole && self.part.is_some() && (self.has_ended || last.eq(b"--"));
        Found::of_form(std::mem::take(&mut self.places), is_whole)
    }

    /// Reads the parts that are complete, and the beginning of the next. Returns the position of the tail, which may
    /// be the beginning of a delimiter.
    fn read(&mut self, joined: &[u8]) -> usize {
        let mut done = 0;
        while let Some(found) = self.delimiter.find(&joined[done..]) {
            self.keep(&joined[done..done + found]);
            self.end_part();
            done += found + self.delimiter.needle().len();
            (self.part, self.part_at) = (Some(Vec::new()), self.at + done as u64);
        }
        let tail = joined.len().saturating_sub(self.delimiter.needle().len() - 1).max(done);
        self.keep(&joined[done..tail]);
        tail
    }

    fn keep(&mut self, data: &[u8]) {
        if let Some(part) = &mut self.part {
            let room = PART.saturating_sub(part.len());
            part.extend_from_slice(&data[..data.len().min(room)]);
        }
    }

    /// Reads a part that is complete: the rest of the delimiter's line, its head, an empty line, and its value.
    fn end_part(&mut self) {
        let Some(part) = self.part.take() else { return };
        // Two hyphens behind a delimiter end the form.
        self.has_ended |= part.starts_with(b"--");
        let head = memmem::find(&part, b"\r\n\r\n").unwrap_or(part.len());
        if self.has_ended || !is_model(&part[..head]) {
            return;
        }
        // Servers differ in how they read a name that is escaped or extended.
        self.is_whole &= memchr::memchr2(b'\\', b'*', &part[..head]).is_none() && !is_encoded(&part[..head]);
        let start = part.len().min(head + 4);
        match std::str::from_utf8(&part[start..]) {
            Ok(value) if part.len() < PART && self.places.len() < MOST => {
                let before = value.len() - value.trim_start().len();
                let value = value.trim();
                let from = self.part_at + (start + before - LINE_BREAK.len()) as u64;
                let span = from..from + value.len() as u64;
                self.places.push(Place::new(span, value.as_bytes().to_vec(), true));
            }
            _ => self.is_whole = false,
        }
    }
}

/// Returns whether the head of a part gives it the name `model`.
fn is_model(head: &[u8]) -> bool {
    headers(head).any(|(name, value)| {
        name.eq_ignore_ascii_case("content-disposition")
            && (parameter(&value, "name").as_deref() == Some("model")
                || parameter(&value, "name*").is_some_and(|name| is_extended(&name))
                || has_pieces(&value))
    })
}

/// Returns whether the value of a part is not the text that it stands for.
fn is_encoded(head: &[u8]) -> bool {
    headers(head).any(|(name, value)| {
        let is_text = ["7bit", "8bit", "binary"].iter().any(|plain| value.trim().eq_ignore_ascii_case(plain));
        name.eq_ignore_ascii_case("content-transfer-encoding") && !is_text
    })
}

/// Iterates over the headers of a part. A line that begins with a blank continues the one before it.
fn headers(head: &[u8]) -> impl Iterator<Item = (String, String)> {
    // File names may be in another encoding.
    let text = String::from_utf8_lossy(head).replace("\r\n ", " ").replace("\r\n\t", " ");
    let lines: Vec<_> = text
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
        .collect();
    lines.into_iter()
}

/// Returns whether an extended value (RFC 8187) is `model`: `utf-8''model`. Forms must not have one (RFC 7578, section
/// 4.2), and some servers read it.
fn is_extended(value: &str) -> bool {
    let text = value.rsplit_once('\'').map_or(value, |(_, text)| text);
    percent_decode_str(text).eq(b"model".iter().copied())
}

/// Returns whether a name is written in pieces (RFC 2231, section 3): `name*0="mo"; name*1="del"`. It may be `model`, because
/// servers written in Go put them together.
fn has_pieces(value: &str) -> bool {
    let rest = |parameter: &str| Some(parameter.trim_start().get(..6)?.to_ascii_lowercase());
    value
        .split(';')
        .filter_map(rest)
        .any(|start| start.starts_with("name*") && start.ends_with(|c: char| c.is_ascii_digit()))
}

/// Returns a parameter of a header's value: a token, or a quoted string in which a backslash quotes the next
/// character.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (found, after) = argument(after.trim_start());
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(found);
        }
        rest = after.split_once(';')?.1;
    }
}

/// Splits the text behind a `=` into the argument and the rest.
fn argument(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let (mut found, mut characters) = (String::new(), quoted.chars());
    while let Some(next) = characters.next() {
        match next {
            '"' => break,
            '\\' => found.extend(characters.next()),
            other => found.push(other),
        }
    }
    (found, characters.as_str())
}
