//! What a ledger showed a request that it let in.
//!
//! An answer speaks of the moment at which its request was taken in. What was taken and corrected since then is the
//! difference between what the gauges show now and these.

use super::ledger::MAX_LEARNED;

/// What each learned gauge showed when a request had taken its part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    marks: [Mark; MAX_LEARNED],
    known: u8,
    /// A bit for each gauge that let the request in only just.
    close: u8,
    generation: u8,
}

/// What a gauge showed when a request had taken its part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    /// How much had been taken, for the order of requests.
    pub(super) taken: u32,
    /// When a bucket was thought to be full, in microseconds since the Unix epoch.
    pub(super) full_at: u64,
    /// How far headers had moved that time.
    pub(super) corrections: u32,
}

// === impl Marks ===

impl Marks {
    /// Of the learned gauges of a generation; `close` has a bit for each that let the request in only just.
    pub(super) fn new(generation: u8, close: u8, shown: impl Iterator<Item = Mark>) -> Self {
        let mut marks = Self { close, generation, ..Self::default() };
        for (mark, shown) in marks.marks.iter_mut().zip(shown) {
            *mark = shown;
            marks.known += 1;
        }
        marks
    }

    /// Whether they are of the gauges that a ledger has now.
    pub(super) const fn are_of(&self, generation: u8) -> bool {
        self.generation == generation
    }

    pub(super) fn get(&self, learned: usize) -> Option<Mark> {
        (learned < self.known.into()).then(|| self.marks[learned])
    }

    /// Whether any learned gauge let the request in only just.
    pub(crate) const fn are_close(&self) -> bool {
        self.close != 0
    }

    /// Whether a learned gauge let the request in only just.
    pub(super) const fn is_close(&self, learned: usize) -> bool {
        self.close >> learned & 1 == 1
    }
}
