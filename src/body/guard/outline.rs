//! The outline of a body that passes: whether it has come to its end.
//!
//! A body whose length is not known, cut by a server that ends it correctly, looks like a whole one. Its outline tells it from
//! most cuts, at little cost.

use serde::Deserialize;

use crate::body::guard::document::DocumentOutline;

/// The kind of a body whose end shows whether it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One JSON document. Gemini's streams are an array, and are cut between its elements.
    Document,
    /// Lines of JSON, such as Ollama's streams.
    Lines,
    /// Frames of AWS's event streams.
    Frames,
    Other,
}

/// The outline of the data so far.
#[derive(Debug)]
pub(super) enum Outline {
    Document(DocumentOutline),
    Lines(Lines),
    Frames(Frames),
}

/// Lines of JSON.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The line that has not come to its end; empty once it is longer than [`LONGEST`].
    line: Vec<u8>,
    is_long: bool,
    /// Whether the last line is Ollama's, and says that more follow.
    is_open: bool,
}

/// Frames, each of which begins with its length.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The length as far as it came.
    length: Vec<u8>,
    left: u32,
    is_odd: bool,
}

/// A line of Ollama's, of which the last one says that it is.
#[derive(Deserialize)]
struct Line {
    done: Option<bool>,
}

/// Maximum length of a line that is read (64 KiB).
const LONGEST: usize = 64 * 1024;

/// Length of the shortest frame, without headers and payload.
const SHORTEST_FRAME: u32 = 16;

// === impl Outline ===

impl Outline {
    pub(super) fn of(shape: Shape) -> Option<Self> {
        match shape {
            Shape::Document => Some(Self::Document(DocumentOutline::default())),
            Shape::Lines => Some(Self::Lines(Lines::default())),
            Shape::Frames => Some(Self::Frames(Frames::default())),
            Shape::Other => None,
        }
    }

    /// Sees data. `is_held`: they are held back, and parsed when they are whole.
    pub(super) fn see(&mut self, data: &[u8], is_held: bool) {
        match self {
            Self::Document(document) => document.see(data, is_held),
            Self::Lines(lines) => lines.see(data),
            Self::Frames(frames) => frames.see(data),
        }
    }

    /// Returns whether the rest is missing: the closing bracket of a document, the end of a line or of a frame.
    pub(super) fn is_cut(&self) -> bool {
        match self {
            Self::Document(document) => document.is_cut(),
            Self::Lines(lines) => lines.is_cut(),
            Self::Frames(frames) => !frames.is_odd && (frames.left > 0 || !frames.length.is_empty()),
        }
    }
}

// === impl Lines ===

impl Lines {
    fn see(&mut self, data: &[u8]) {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            self.is_long |= self.line.len() + piece.len() > LONGEST;
            if self.is_long {
                self.line.clear();
            } else {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                self.is_open = self.says_more().unwrap_or(self.is_open);
                (self.is_long, self.line) = (false, Vec::new());
            }
        }
    }

    /// Returns whether the present line says that more follow. `None`: it is blank.
    fn says_more(&self) -> Option<bool> {
        let line = self.line.trim_ascii();
        let done = || serde_json::from_slice::<Line>(line).ok()?.done;
        (self.is_long || !line.is_empty()).then(|| done() == Some(false))
    }

    fn is_cut(&self) -> bool {
        let line = self.line.trim_ascii();
        let mut values = serde_json::Deserializer::from_slice(line).into_iter::<serde::de::IgnoredAny>();
        // A last line without a line break is whole if it is JSON.
        let is_part = matches!(line.first(), Some(b'{' | b'[')) && values.any(|value| value.is_err());
        is_part || self.says_more().unwrap_or(self.is_open)
    }
}

// === impl Frames ===

impl Frames {
    fn see(&mut self, mut data: &[u8]) {
        while !data.is_empty() && !self.is_odd {
            if self.left > 0 {
                let taken = data.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= u32::try_from(taken).unwrap_or(self.left);
                data = &data[taken..];
                continue;
            }
            self.length.push(data[0]);
            data = &data[1..];
            if let Ok(length) = <[u8; 4]>::try_from(&*self.length) {
                let length = u32::from_be_bytes(length);
                self.is_odd = length < SHORTEST_FRAME;
                self.left = length.saturating_sub(4);
                self.length.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_cut(shape: Shape, pieces: &[&[u8]]) -> bool {
        let mut outline = Outline::of(shape).unwrap();
        pieces.iter().for_each(|piece| outline.see(piece, false));
        outline.is_cut()
    }

    #[test]
    fn a_document_ends_with_its_bracket() {
        for (pieces, expected) in [
            (&["[{}\n,", "{}]\n"][..], false),
            (&["\n", "[", "]"], false),
            (&["{\"a\":1}", " \n"], false),
            (&["null"], false),
            (&[], false),
            (&["[{}", "\n,{}"], true),
            (&["[{\"a\":[1]}"], true),
            (&["[{\"a\":[1]"], true),
            (&["[\"]\\\"", "]"], true),
            (&["[\"]\\\"", "[\"]"], false),
            (&["{"], true),
        ] {
            let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            assert_eq!(is_cut(Shape::Document, &pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn a_document_that_was_held_back_is_judged_by_its_ends() {
        for (rest, expected) in [("2]", false), ("2", true)] {
            let mut outline = Outline::of(Shape::Document).unwrap();
            outline.see(b"[1,", true);
            outline.see(rest.as_bytes(), false);
            assert_eq!(outline.is_cut(), expected, "{rest}");
        }
    }

    #[test]
    fn lines_end_with_a_whole_one() {
        let long = format!("{{\"context\":[{}1]}}\n", "1,".repeat(LONGEST));
        for (pieces, expected) in [
            (&["{\"a\":1}\n", "{\"a\":2}"][..], false),
            (&["{\"a\":1}\n{\"a\"", ":2}\n\n"], false),
            (&["{\"done\":false}\n", "{\"done\":true}\n", "\n"], false),
            (&["{\"done\":false}\n{\"error\":\"x\"}\n"], false),
            (&["{\"a\":1}{\"a\":2}"], false),
            (&["\u{1e}{\"a\":1}\n"], false),
            (&["{\n\"a\":1\n}"], false),
            (&["{\"done\":false}\n", &long], false),
            (&[], false),
            (&["{\"a\":1}\n{\"a\":{}"], true),
            (&["{\"done\":false}\n", "\n"], true),
            (&["{\"done\":false}\n{\"done\":fal"], true),
            (&["{\"done\":false}"], true),
        ] {
            let pieces: Vec<_> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            assert_eq!(is_cut(Shape::Lines, &pieces), expected, "{}", pieces.concat().escape_ascii());
        }
    }

    #[test]
    fn frames_are_whole() {
        let frame = [&[0, 0, 0, 20][..], &[7; 16]].concat();
        let two = frame.repeat(2);
        for at in 0..=two.len() {
            assert_eq!(
                is_cut(Shape::Frames, &[&two[..at / 2], &two[at / 2..at]]),
                at % frame.len() != 0,
                "{at}"
            );
        }
        assert!(!is_cut(Shape::Frames, &[b"\0\0\0\x01not frames"]));
    }
}
