//! How much of its limits a key has left.

use super::place::Place;
use crate::clock::Moment;

impl Place<'_> {
    /// What is left in the tightest limit that is known of the key, its account, and both for the model: a
    /// share of the limit, from nothing at 0 to all of it at 1, which it is where no limit is known.
    pub(super) fn headroom(self, now: Moment) -> f64 {
        self.ledgers().map(|(_, ledger)| ledger.headroom(now)).fold(1.0, f64::min)
    }
}
