//! The search of a JSON document for the top-level members `model`, piece by piece.
//!
//! The document is checked as a strict parser reads it, because a limit may depend on the name: if a reader could
//! find another name in a document than this search, the document counts as unreadable. Texts are skipped unread.
//!
//! Behind the last name only a text with `"model"`, or with an escape that may stand for a letter of it, can name
//! another model. If there is none, the rest of the document need not be sound.

use serde::de::IgnoredAny;

use crate::body::sse::BYTE_ORDER_MARK;
use crate::provider::search::behind::Behind;
use crate::provider::search::found::{Found, LONGEST_VALUE, MOST, Place};
use crate::provider::search::member::{KeyName, LONGEST_KEY, name_of};
use crate::provider::search::nesting::Nesting;

/// Maximum depth of a document that is read (4,096).
const DEEPEST: usize = 4096;

/// The search of one document.
#[derive(Default)]
pub(crate) struct JsonSearch {
    /// Position of the next byte.
    at: u64,
    state: State,
    /// The containers around the next byte.
    inside: Nesting,
    /// The beginning of the text of a key, of a scalar, or of the value of a member `model`.
    text: Vec<u8>,
    /// Whether the text that is read is a key.
    is_key: bool,
    /// Whether the top-level member that is read is named `model`.
    is_model: bool,
    /// Whether a top-level member has the name in other letters, such as `Model`, which some servers read.
    is_ambiguous: bool,
    /// Position and kind of the value of a member `model` that is read. `true`: a text.
    value: Option<(u64, bool)>,
    places: Vec<Place>,
    behind: Behind,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Before the document: the number of bytes of a byte order mark.
    Mark(usize),
    #[default]
    Start,
    Value,
    FirstItem,
    FirstKey,
    Key,
    Colon,
    /// Behind an item of a container.
    Next,
    Text,
    Escape,
    /// The number of hexadecimal digits that are still to come.
    Hex(u8),
    /// A number, `true`, `false` or `null`.
    Scalar,
    End,
    Broken,
}

// === impl JsonSearch ===

impl JsonSearch {
    pub(super) fn push(&mut self, piece: &[u8], is_last: bool) {
        if !self.places.is_empty() {
            self.behind.see(piece);
        }
        let (mut rest, mut found) = (piece, self.places.len());
        while !rest.is_empty() && self.state != State::Broken {
            if is_last && !self.places.is_empty() && !self.behind.may_follow {
                return;
            }
            rest = self.read(rest);
            if found < self.places.len() {
                found = self.places.len();
                self.behind = Behind::default();
                self.behind.see(rest);
            }
        }
    }

    pub(super) fn finish(&mut self) -> Found {
        if self.state == State::Scalar {
            self.end_scalar();
        }
        let is_empty = self.state == State::Start && self.at == 0 || self.state == State::Mark(3);
        let is_named = !self.places.is_empty() && !self.behind.may_follow;
        let is_whole = is_empty || is_named || self.state == State::End;
        Found::of_json(std::mem::take(&mut self.places), is_whole && !self.is_ambiguous)
    }

    /// Reads a byte, or a run of bytes that need no look and the byte behind it. Returns the rest.
    fn read<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        match self.state {
            State::Text => {
                let plain = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                self.plain(&rest[..plain]);
                let rest = self.pass(rest, plain);
                let Some(byte) = rest.first().filter(|_| self.state == State::Text) else { return rest };
                self.quote_or_escape(*byte);
                self.pass(rest, 1)
            }
            State::Scalar => {
                let read = rest.iter().position(|byte| !is_scalar(*byte)).unwrap_or(rest.len());
                if read == 0 {
                    self.end_scalar();
                } else {
                    self.keep(&rest[..read]);
                }
                self.pass(rest, read)
            }
            _ => {
                self.step(rest[0]);
                self.pass(rest, 1)
            }
        }
    }

    /// Moves on by some bytes. Returns the rest.
    fn pass<'a>(&mut self, rest: &'a [u8], read: usize) -> &'a [u8] {
        self.at += read as u64;
        &rest[read..]
    }

    fn step(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Escape, b'u') => self.escaped(byte, State::Hex(4)),
            (State::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.escaped(byte, State::Text)
            }
            (State::Hex(left), digit) if digit.is_ascii_hexdigit() => {
                self.escaped(digit, if left > 1 { State::Hex(left - 1) } else { State::Text })
            }
            (State::Escape | State::Hex(_), _) => State::Broken,
            (State::Start, byte) if self.at == 0 && byte == BYTE_ORDER_MARK[0] => State::Mark(1),
            (State::Mark(read), byte) if BYTE_ORDER_MARK.get(read) == Some(&byte) => State::Mark(read + 1),
            (State::Mark(3), byte) => {
                self.state = State::Start;
                return self.step(byte);
            }
            (state, b' ' | b'\t' | b'\n' | b'\r') => state,
            (State::Start | State::Value | State::FirstItem, b'"' | b'{' | b'[') => self.begin_value(byte),
            (State::Start | State::Value | State::FirstItem, byte) if is_scalar(byte) => {
                self.begin_value(byte)
            }
            (State::FirstKey | State::Key, b'"') => self.begin_key(),
            (State::Colon, b':') => State::Value,
            (State::Next, b',') if self.inside.last() == Some(true) => State::Key,
            (State::Next, b',') => State::Value,
            (State::FirstKey | State::Next, b'}') if self.inside.last() == Some(true) => self.end_container(),
            (State::FirstItem | State::Next, b']') if self.inside.last() == Some(false) => {
                self.end_container()
            }
            _ => State::Broken,
        };
    }

    fn begin_value(&mut self, byte: u8) -> State {
        self.text.clear();
        self.is_key = false;
        if self.inside.len() == 1 && self.is_model {
            self.value = Some((self.at, byte == b'"'));
        }
        match byte {
            b'"' => {
                self.text.push(byte);
                return State::Text;
            }
            b'{' | b'[' if self.inside.len() < DEEPEST => self.inside.push(byte == b'{'),
            b'{' | b'[' => return State::Broken,
            _ => {
                self.text.push(byte);
                return State::Scalar;
            }
        }
        if byte == b'{' { State::FirstKey } else { State::FirstItem }
    }

    fn begin_key(&mut self) -> State {
        if self.text.capacity() == 0 {
            self.text = Vec::with_capacity(LONGEST_KEY);
        }
        self.text.clear();
        self.text.push(b'"');
        self.is_key = true;
        State::Text
    }

    fn plain(&mut self, text: &[u8]) {
        // A strict parser refuses control characters within texts.
        if text.iter().any(|byte| *byte < b' ') {
            self.state = State::Broken;
        }
        self.keep(text);
    }

    fn quote_or_escape(&mut self, byte: u8) {
        self.keep_byte(byte);
        if byte == b'\\' {
            self.state = State::Escape;
        } else if self.is_key {
            let name = Some(&*self.text).filter(|_| self.inside.len() == 1).map_or(KeyName::Other, name_of);
            self.is_model = name == KeyName::Model;
            self.is_ambiguous |= name == KeyName::OtherCase;
            self.state = State::Colon;
        } else {
            self.state = self.end_value(self.at + 1);
        }
    }

    fn escaped(&mut self, byte: u8, then: State) -> State {
        self.keep_byte(byte);
        then
    }

    /// Keeps the beginning of a text that may matter: one byte more than the longest name has.
    fn keep(&mut self, text: &[u8]) {
        let room = self.room();
        self.text.extend_from_slice(&text[..text.len().min(room)]);
    }

    fn keep_byte(&mut self, byte: u8) {
        if self.room() > 0 {
            self.text.push(byte);
        }
    }

    /// Returns the number of bytes to keep of the text that is read.
    fn room(&self) -> usize {
        let matters = self.is_key || self.value.is_some() || self.state == State::Scalar;
        if matters { (LONGEST_VALUE + 1).saturating_sub(self.text.len()) } else { 0 }
    }

    fn end_scalar(&mut self) {
        let is_valid = serde_json::from_slice::<IgnoredAny>(&self.text).is_ok();
        self.state = if is_valid { self.end_value(self.at) } else { State::Broken };
    }

    fn end_container(&mut self) -> State {
        self.inside.pop();
        self.text.clear();
        self.end_value(self.at + 1)
    }

    fn end_value(&mut self, end: u64) -> State {
        if self.inside.is_empty() {
            return State::End;
        }
        if self.inside.len() == 1
            && let Some((start, is_text)) = self.value.take()
        {
            self.is_model = false;
            if self.places.len() == MOST {
                return State::Broken;
            }
            if self.places.is_empty() {
                // Most documents name one model.
                self.places = Vec::with_capacity(1);
            }
            self.places.push(Place::new(start..end, std::mem::take(&mut self.text), is_text));
        }
        State::Next
    }
}

const fn is_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}
