//! Checkpoints: the state of a ledger as seen by a request that it let in.
//!
//! A response describes the moment at which its request arrived. The difference between the gauges now and
//! their checkpoint is the amount that was taken and corrected since.

/// Maximum number of learned gauges. No provider reports more limits of one model.
pub(in crate::limits) const MAX_LEARNED: usize = 4;

/// A checkpoint of each learned gauge, recorded when a request had taken its part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checkpoints {
    checkpoints: [Checkpoint; MAX_LEARNED],
    known: u8,
    /// One bit for each gauge that let the request in just in time.
    close: u8,
    generation: u8,
    /// Whether the ledger searches for an interval.
    in_search: bool,
}

/// A checkpoint of one gauge, recorded when a request had taken its part.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::limits) struct Checkpoint {
    /// The units taken so far. Orders requests.
    pub(in crate::limits) taken: u32,
    /// The estimated time at which the bucket is full, in microseconds since the Unix epoch.
    pub(in crate::limits) full_at: u64,
    /// The corrections of `full_at` so far; see the field of the same name in a gauge.
    pub(in crate::limits) corrections: u32,
}

// === impl Checkpoints ===

impl Checkpoints {
    /// Creates the checkpoint of a generation of learned gauges. `close` has one bit for each gauge that let
    /// the request in just in time.
    pub(in crate::limits) fn new(generation: u8, close: u8, shown: impl Iterator<Item = Checkpoint>) -> Self {
        let mut checkpoints = Self { close, generation, ..Self::default() };
        for (checkpoint, shown) in checkpoints.checkpoints.iter_mut().zip(shown) {
            *checkpoint = shown;
            checkpoints.known += 1;
        }
        checkpoints
    }

    /// Returns whether the checkpoint belongs to the present gauges of a ledger.
    pub(in crate::limits) const fn are_of(&self, generation: u8) -> bool {
        self.generation == generation
    }

    pub(in crate::limits) fn get(&self, learned: usize) -> Option<Checkpoint> {
        (learned < self.known.into()).then(|| self.checkpoints[learned])
    }

    /// Sets whether the ledger searches for an interval, so that it must learn of the success of the request.
    pub(in crate::limits) const fn in_search(mut self, in_search: bool) -> Self {
        self.in_search = in_search;
        self
    }

    /// Returns whether the ledger must learn of the success of the request.
    pub(crate) const fn are_in_search(&self) -> bool {
        self.in_search
    }

    /// Returns whether the learned gauge of this index let the request in just in time.
    pub(in crate::limits) const fn is_close(&self, learned: usize) -> bool {
        self.close >> learned & 1 == 1
    }
}
