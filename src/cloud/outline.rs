//! The top-level members of a JSON document that is read in pieces: removing some, adding others, and keeping the rest byte
//! for byte.
//!
//! Values are skipped unread. A document whose values are broken is the caller's fault, and the provider refuses it.

use std::ops::Range;

use bytes::Bytes;
use memchr::memchr2;

/// Maximum length of a name or a value that is kept, in bytes (4 KiB).
const LONGEST: usize = 4 * 1024;

/// The search of a document for its members.
#[derive(Default)]
pub(super) struct Outline {
    /// Position of the next byte.
    at: u64,
    state: State,
    /// Whether the next byte is within a text, and whether it is escaped there.
    in_text: bool,
    is_escaped: bool,
    /// Number of containers around the next byte, within the value.
    depth: usize,
    /// The beginning of the name or the value that is read.
    text: Vec<u8>,
    /// Name and position of the member that is read.
    name: String,
    start: u64,
    /// End of the value so far, without white space.
    end: u64,
    members: Vec<Member>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    /// Before a member.
    Member,
    Name,
    Colon,
    /// Before a value.
    Value,
    InValue,
    End,
    Broken,
}

struct Member {
    name: String,
    /// The value as it is written; `None` if it is longer than [`LONGEST`].
    value: Option<String>,
    place: Range<u64>,
}

/// The members of a document, in its order.
pub(super) struct Members {
    all: Vec<Member>,
    /// Position of the brace that ends the document.
    close: u64,
}

// === impl Outline ===

impl Outline {
    pub(super) fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() && self.state != State::Broken {
            let read = if self.in_text { self.read_text(rest) } else { self.read_byte(rest[0]) };
            self.at += read as u64;
            rest = &rest[read..];
        }
    }

    /// Returns the members. `None` if the document is no object.
    pub(super) fn finish(self) -> Option<Members> {
        (self.state == State::End).then_some(Members { all: self.members, close: self.end })
    }

    /// Reads a part of a text. Returns its length.
    fn read_text(&mut self, rest: &[u8]) -> usize {
        if std::mem::take(&mut self.is_escaped) {
            self.keep(&rest[..1]);
            return 1;
        }
        let plain = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        if plain > 0 {
            self.keep(&rest[..plain]);
            return plain;
        }
        self.keep(&rest[..1]);
        if rest[0] == b'\\' {
            self.is_escaped = true;
        } else {
            self.end_text();
        }
        1
    }

    fn end_text(&mut self) {
        self.in_text = false;
        self.end = self.at + 1;
        if self.state == State::Name {
            // A name that is too long is none that is looked for.
            let name = if self.text.len() > LONGEST {
                Ok(String::new())
            } else {
                serde_json::from_slice(&self.text)
            };
            self.state = if name.is_ok() { State::Colon } else { State::Broken };
            self.name = name.unwrap_or_default();
        }
    }

    fn read_byte(&mut self, byte: u8) -> usize {
        self.state = match (self.state, byte) {
            (State::InValue, byte) => self.in_value(byte),
            (state, b' ' | b'\t' | b'\n' | b'\r') => state,
            (State::Start, b'{') => State::Member,
            (State::Member, b'"') => {
                (self.start, self.in_text) = (self.at, true);
                self.text.clear();
                self.keep(b"\"");
                State::Name
            }
            (State::Member, b'}') => {
                self.end = self.at;
                State::End
            }
            (State::Colon, b':') => State::Value,
            (State::Value, b',' | b'}' | b']') => State::Broken,
            (State::Value, byte) => {
                self.text.clear();
                self.in_value(byte)
            }
            _ => State::Broken,
        };
        1
    }

    fn in_value(&mut self, byte: u8) -> State {
        match byte {
            b',' if self.depth == 0 => return self.end_value(State::Member),
            b'}' if self.depth == 0 => {
                let then = self.end_value(State::End);
                self.end = self.at;
                return then;
            }
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth == 0 => return State::Broken,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            self.end = self.at + 1;
        }
        self.keep(&[byte]);
        State::InValue
    }

    fn end_value(&mut self, then: State) -> State {
        let text = std::mem::take(&mut self.text);
        let value = String::from_utf8(text).ok().filter(|value| value.len() <= LONGEST);
        let value = value.map(|value| value.trim().to_owned());
        self.members.push(Member {
            name: std::mem::take(&mut self.name),
            value,
            place: self.start..self.end,
        });
        then
    }

    fn keep(&mut self, text: &[u8]) {
        let room = (LONGEST + 1).saturating_sub(self.text.len());
        self.text.extend_from_slice(&text[..text.len().min(room)]);
    }
}

// === impl Members ===

impl Members {
    /// Returns the value of a member as it is written. Of several the last counts.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all.iter().rev().find(|member| member.name == name)?.value.as_deref()
    }

    /// Returns the value of a member that is a text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// Returns the changes that remove all members with some names and add others, whose values are JSON: ranges of the
    /// document, in order, and what takes their place. A member that the document keeps is not added.
    pub(super) fn edits(&self, removed: &[&str], added: &[(&str, String)]) -> Vec<(Range<u64>, Bytes)> {
        let mut edits: Vec<(Range<u64>, Bytes)> = Vec::new();
        let (mut before, mut cut) = (None, None);
        for member in &self.all {
            if removed.contains(&member.name.as_str()) {
                cut = cut.or(Some(member.place.start));
                continue;
            }
            if let Some(start) = cut.take() {
                let comma = before.map_or(Bytes::new(), |_| Bytes::from_static(b","));
                edits.push((before.unwrap_or(start)..member.place.start, comma));
            }
            before = Some(member.place.end);
        }
        if let (Some(start), Some(last)) = (cut, self.all.last()) {
            edits.push((before.unwrap_or(start)..last.place.end, Bytes::new()));
        }
        let keeps =
            |name: &str| !removed.contains(&name) && self.all.iter().any(|member| member.name == name);
        let added = added.iter().filter(|(name, _)| !keeps(name));
        let added: Vec<_> =
            added.map(|(name, value)| format!("{}:{value}", serde_json::Value::from(*name))).collect();
        if !added.is_empty() {
            let comma = if before.is_some() { "," } else { "" };
            edits.push((self.close..self.close, [comma, &added.join(",")].concat().into()));
        }
        edits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &[u8], size: usize) -> Option<Members> {
        let mut outline = Outline::default();
        document.chunks(size).for_each(|piece| outline.push(piece));
        outline.finish()
    }

    fn changed(document: &str, removed: &[&str], added: &[(&str, String)]) -> String {
        let (mut out, mut done) = (String::new(), 0);
        for (range, new) in read(document.as_bytes(), 7).unwrap().edits(removed, added) {
            let position = |at: u64| usize::try_from(at).unwrap();
            out += &document[done..position(range.start)];
            out += std::str::from_utf8(&new).unwrap();
            done = position(range.end);
        }
        out + &document[done..]
    }

    #[test]
    fn the_rest_stays_byte_for_byte() {
        let document = r#" {"model":"a", "n" : 1.0e2,"text":"\u00e9 {\"model\":1}\\","mod\u0065l" : "b" ,"x":{ "model":[] }} "#;
        for size in 1..document.len() {
            let members = read(document.as_bytes(), size).unwrap();
            assert_eq!((members.text("model").as_deref(), members.get("n")), (Some("b"), Some("1.0e2")));
        }
        let more = [("n", "2".to_owned()), ("v\"", "\"1\"".to_owned())];
        assert_eq!(
            changed(document, &["model"], &more),
            r#" {"n" : 1.0e2,"text":"\u00e9 {\"model\":1}\\","x":{ "model":[] },"v\"":"1"} "#
        );
    }

    #[test]
    fn members_at_any_place_are_removed() {
        let more = [("z", "0".to_owned())];
        for (document, removed, alone, with) in [
            (r#"{"a":1,"b":2,"c":3}"#, &["b"][..], r#"{"a":1,"c":3}"#, r#"{"a":1,"c":3,"z":0}"#),
            (r#"{"a":1,"b":2,"c":3}"#, &["b", "c"], r#"{"a":1}"#, r#"{"a":1,"z":0}"#),
            (r#"{"a":1,"b":2,"a":3}"#, &["a"], r#"{"b":2}"#, r#"{"b":2,"z":0}"#),
            (r#"{ "a":1 , "b":2 }"#, &["a", "b"], "{  }", r#"{  "z":0}"#),
        ] {
            assert_eq!(changed(document, removed, &[]), alone, "{document}");
            assert_eq!(changed(document, removed, &more), with, "{document}");
        }
    }

    #[test]
    fn long_values_are_kept_in_place() {
        let document = format!(r#"{{"image":"{}","model":"m"}}"#, "x".repeat(100_000));
        let members = read(document.as_bytes(), 4_096).unwrap();
        assert_eq!((members.get("image"), members.text("model").as_deref()), (None, Some("m")));
        assert_eq!(changed(&document, &["model"], &[]), document.replace(r#","model":"m""#, ""));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for broken in [
            "[]",
            "",
            "{",
            "{\"a\":1}x",
            "\"model\"",
            "{\"a\":1]",
            "{\"a\":\"",
            "{a:1}",
            "{\"a\":}",
            "{\"a\\x\":1}",
        ] {
            assert!(read(broken.as_bytes(), 2).is_none(), "{broken}");
        }
    }
}
