//! What a short wait means: a limit that is known, or a pace that has to be found.
//!
//! Where a known limit explains a refusal, its ledger lets the requests that wait in one by one, and nothing has to
//! recover. Where none does, whatever is said of limits is not believed: requests are spaced by the ledger, and the
//! scope is probed by one request until it is served.

use super::Lease;
use super::slot::Cause;
use crate::classify::Fault;
use crate::clock::Timestamp;

impl Lease {
    /// Why a fault puts a scope into a cooldown.
    pub(super) fn cause_of(&self, fault: &Fault, now: Timestamp) -> Cause {
        let cause = Cause::of(fault);
        let brief = fault.wait().filter(|wait| self.set.common.cooldowns.is_brief(*wait));
        let Some(wait) = brief.filter(|_| cause == Cause::RateLimited) else { return cause };
        let place = self.place();
        let sent = (&self.asked, self.marks.as_ref());
        let is_explained = place.learning().refused(sent, wait, (self.began, now.into()));
        place.follow(place.home(), now.as_unix_ms());
        if is_explained { Cause::Paced } else { cause }
    }

    /// A request was served: limits that let it in only just may be kept more closely.
    pub(super) fn keep_pace(&self) {
        let place = self.place();
        if let Some(marks) = self.marks.as_ref().filter(|marks| marks.are_close())
            && let Some(ledger) = place.ledger(place.home())
        {
            ledger.served(marks);
        }
    }
}
