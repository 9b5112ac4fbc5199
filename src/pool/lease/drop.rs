//! Dropping a lease: its result is unknown, or it was settled before.

use std::sync::atomic::Ordering;

use crate::clock::Timestamp;
use crate::pool::Lease;
use crate::pool::acquire::admit::{are_exclusive, hand_back};
use crate::pool::acquire::reserve::{give_all_back, leave};

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.set.is_handed_over() {
            let candidate = self.candidate();
            if self.stamped.load(Ordering::Relaxed) {
                leave(candidate, self.began);
            } else {
                give_all_back(candidate, &self.cost, self.began);
            }
        }
        if are_exclusive(self.permits, self.canaries) {
            let now = Timestamp::now().as_unix_ms();
            hand_back(self.candidate(), self.permits, self.canaries, now);
            self.set.common.released.tell();
        }
    }
}
