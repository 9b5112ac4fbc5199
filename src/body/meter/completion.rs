//! Decides over all events of a stream whether its response is complete.
//!
//! One event can say that *a* choice is finished. Whether the response is finished depends on the other
//! choices: a request may ask for several, and they finish at different times. Some providers also write a
//! finish reason on every event. So if a choice is finished twice, its finish reason does not promise that
//! nothing follows.
//!
//! A stream without any event of a known dialect can't be judged. It counts neither as complete nor as cut.

use memchr::memmem;
use serde::de::IgnoredAny;

use crate::body::meter::progress::{Ends, Part, TERMINATORS};
use crate::body::meter::{Progress, progress};
use crate::body::sse::Event;

/// The state of a stream over all its events.
#[derive(Debug, Default)]
pub(crate) struct Completion {
    /// One bit for each choice seen. Choice 127 stands for all higher ones.
    begun: u128,
    /// One bit for each choice that has a finish reason.
    finished: u128,
    /// Whether a choice was finished more than once.
    doubtful: bool,
    last: bool,
    failed: bool,
    malformed: bool,
    /// Whether there was any event, and whether there was one of a known dialect.
    any: bool,
    known: bool,
}

/// How near its end the response of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// The response continues.
    Open,
    /// The response is complete, by a finish reason. More events may follow, such as usage and the
    /// terminator.
    Finished,
    /// The terminator, after which nothing follows: `[DONE]`, `message_stop`, `response.completed`.
    Last,
}

/// Events that end the response without a terminator after them: images, speech and transcripts.
const ENDS: [&str; 4] =
    ["image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done"];

/// Members of which every event of a known dialect has at least one.
const DIALECTS: [&[u8]; 3] = [b"\"choices\"", b"\"candidates\"", b"\"type\""];

/// Words of which an event that reports an error has at least one, unless its name is `error`.
const TROUBLE: [&[u8]; 3] = [b"error", b"failed", b"\"message\""];

// === impl Completion ===

impl Completion {
    /// Reads one event. Events behind the terminator are not part of the response.
    pub(crate) fn see(&mut self, event: &Event) {
        if self.last {
            return;
        }
        let data = event.data().trim_ascii();
        let has = |hints: &[&[u8]]| hints.iter().any(|hint| memmem::find(data, hint).is_some());
        self.any |= !data.is_empty();
        self.known = self.known || has(&DIALECTS);
        if !self.failed && (event.name() == "error" || has(&TROUBLE)) {
            self.failed = progress(event) == Progress::Failed;
        }
        if data == b"[DONE]" {
            self.last = true;
            return;
        }
        match serde_json::from_slice::<Ends>(data) {
            Ok(ends) => self.take(&ends),
            // A document of another shape belongs to another dialect. One that is not JSON at all is
            // malformed.
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

    /// Returns how near its end the stream is.
    pub(crate) const fn ending(&self) -> Ending {
        if self.last {
            Ending::Last
        } else if self.finished != 0 && self.finished == self.begun {
            Ending::Finished
        } else {
            Ending::Open
        }
    }

    /// Returns whether the response is complete, even if the connection breaks now.
    pub(crate) const fn is_certain(&self) -> bool {
        match self.ending() {
            Ending::Last => true,
            Ending::Finished => !self.doubtful,
            Ending::Open => false,
        }
    }

    /// Returns whether any event reported an error.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Returns whether any event began as a JSON document and was not a valid one.
    pub(crate) const fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// Returns whether a part of the response is missing, provided that the stream has ended.
    pub(crate) fn is_cut(&self) -> bool {
        self.ending() == Ending::Open && (self.known || !self.any)
    }
}
