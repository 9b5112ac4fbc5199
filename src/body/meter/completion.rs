//! Whether a streamed answer is complete, followed over all its events.
//!
//! One event can say that *a* choice is finished; whether the answer is depends on the others, for a request
//! may ask for several at once and they finish at different times. And there are providers that write a
//! finish reason on every event: one that comes twice for a choice is no promise that nothing follows.
//!
//! A stream in which nothing is written in a known dialect can't be judged; it is neither complete nor cut.

use memchr::memmem;
use serde::de::IgnoredAny;

use super::progress::{Ends, Part, TERMINATORS};
use super::{Ending, Progress, progress};
use crate::body::sse::Event;

/// How far a stream has come, over all its events.
#[derive(Debug, Default)]
pub(crate) struct Completion {
    /// A bit for each choice that was seen.
    begun: u128,
    /// A bit for each choice that has a finish reason.
    finished: u128,
    /// A choice was finished more than once.
    doubtful: bool,
    last: bool,
    failed: bool,
    malformed: bool,
    /// There was an event at all, and one in a known dialect.
    any: bool,
    known: bool,
}

/// Events that end what they belong to, and after which no terminator comes: images and speech.
const ENDS: [&str; 4] =
    ["image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done"];

/// What every event of a known dialect has one of.
const DIALECTS: [&[u8]; 3] = [b"\"choices\"", b"\"candidates\"", b"\"type\""];

/// What an event has that may be an error.
const TROUBLE: [&[u8]; 3] = [b"error", b"failed", b"\"message\""];

// === impl Completion ===

impl Completion {
    pub(crate) fn see(&mut self, event: &Event) {
        let data = event.data().trim_ascii();
        let has = |hints: &[&[u8]]| hints.iter().any(|hint| memmem::find(data, hint).is_some());
        self.any |= !data.is_empty();
        self.known = self.known || has(&DIALECTS);
        if data == b"[DONE]" {
            self.last = true;
            return;
        }
        if !self.failed && (event.name() == "error" || has(&TROUBLE)) {
            self.failed = progress(event) == Progress::Failed;
        }
        match serde_json::from_slice::<Ends>(data) {
            Ok(ends) => self.take(&ends),
            // Another shape is another dialect; a document that is none is nobody's.
            Err(other) if other.is_data() => {
                self.malformed |= serde_json::from_slice::<IgnoredAny>(data).is_err();
            }
            Err(_) => self.malformed |= data.first() == Some(&b'{'),
        }
    }

    fn take(&mut self, ends: &Ends) {
        let kind = ends.kind();
        self.last |= TERMINATORS.contains(&kind);
        for (position, part) in ends.choices.iter().enumerate() {
            self.choice(part, position);
        }
        for (position, part) in ends.candidates.iter().enumerate() {
            self.choice(part, position);
        }
        let whole = ends.delta.as_ref().is_some_and(Part::is_finished);
        if whole || ends.is_blocked() || ENDS.contains(&kind) {
            self.begun |= 1;
            self.finished |= 1;
        }
    }

    fn choice(&mut self, part: &Part, position: usize) {
        let bit = 1 << part.index.unwrap_or(position as u64).min(127);
        self.begun |= bit;
        if part.is_finished() {
            self.doubtful |= self.finished & bit != 0;
            self.finished |= bit;
        }
    }

    /// How near the end the stream is.
    pub(crate) const fn ending(&self) -> Ending {
        if self.last {
            Ending::Last
        } else if self.finished != 0 && self.finished == self.begun {
            Ending::Finished
        } else {
            Ending::Open
        }
    }

    /// Whether the answer is there as a whole, even if the connection breaks now.
    pub(crate) const fn is_certain(&self) -> bool {
        match self.ending() {
            Ending::Last => true,
            Ending::Finished => !self.doubtful,
            Ending::Open => false,
        }
    }

    /// Whether there was an error among the events.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether an event was a JSON document that is none.
    pub(crate) const fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// Whether a part of the answer is missing if this was all.
    pub(crate) fn is_cut(&self) -> bool {
        self.ending() == Ending::Open && (self.known || !self.any)
    }
}
