//! Headroom: the fraction of its limits that a key has left.

use super::place::Place;
use crate::clock::Moment;

impl Place<'_> {
    /// Returns the fraction that is left of the tightest known limit of the key, its account, and both for
    /// the model: from 0 (nothing) to 1 (everything, or no known limit).
    pub(super) fn headroom(self, now: Moment) -> f64 {
        self.ledgers().map(|(_, ledger)| ledger.headroom(now)).fold(1.0, f64::min)
    }
}
