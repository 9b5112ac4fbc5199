//! A body that came in one piece.

use bytes::Bytes;

/// The position of one clone of a body in one piece. A clone starts at the beginning.
pub(super) struct Whole {
    all: Bytes,
    sent: bool,
}

// === impl Whole ===

impl Whole {
    pub(super) const fn new(all: Bytes) -> Self {
        Self { all, sent: false }
    }

    pub(super) const fn all(&self) -> &Bytes {
        &self.all
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.all
    }

    /// Returns the body, once.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let rest = self.rest() > 0;
        self.sent = true;
        rest.then(|| self.all.clone())
    }

    /// Returns the number of bytes that were not taken.
    pub(super) const fn rest(&self) -> usize {
        if self.sent { 0 } else { self.all.len() }
    }
}

impl Clone for Whole {
    fn clone(&self) -> Self {
        Self::new(self.all.clone())
    }
}
