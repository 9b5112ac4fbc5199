//! Headroom: the fraction of its limits that a key has left.

use crate::clock::Moment;
use crate::pool::keys::candidate::Place;

impl Place<'_> {
    /// Returns the fraction that is left of the tightest known limit of the key, its account, and both for
    /// the model: from 0 (nothing) to 1 (everything, or no known limit).
    pub(in crate::pool) fn headroom(self, now: Moment) -> f64 {
        self.ledgers().map(|(_, ledger)| ledger.headroom(now)).fold(1.0, f64::min)
    }
}
