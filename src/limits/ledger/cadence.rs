//! The cadence of served requests: evidence of the time that a limit needs between two requests.

use crate::clock::Moment;

/// The send times of served requests, condensed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cadence {
    /// The time at which the latest served request was sent; `None` without any.
    pub(crate) latest: Option<Moment>,
    /// The shortest time between two served requests, in microseconds; `None` before the second one.
    pub(crate) apart: Option<u64>,
}

// === impl Cadence ===

impl Cadence {
    /// Records that a request was served that was sent at `sent`. Two requests of the same microsecond show
    /// nothing.
    pub(in crate::limits) fn served(&mut self, sent: Moment) {
        let apart = self.gap(sent);
        self.apart = self.apart.into_iter().chain(apart).min();
        self.latest = self.latest.max(Some(sent));
    }

    /// Returns the time between the latest served request and one that was sent at `sent`, in microseconds.
    /// Responses come in any order, so either of the two may be the earlier one.
    pub(in crate::limits) fn gap(&self, sent: Moment) -> Option<u64> {
        let gap = self.latest?.as_unix_us().abs_diff(sent.as_unix_us());
        (gap > 0).then_some(gap)
    }
}
