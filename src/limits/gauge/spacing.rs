//! A pace that is learned from refusals alone.
//!
//! Some upstreams refuse requests for coming too fast, and say nothing of a limit or deny it: the headers of their
//! successes have thousands left. Such a header closes nothing, so every request that waits would go at once when the
//! short wait is over, and all but one be refused again. So refusals with a short wait that no limit explains are
//! believed: requests of the scope are spaced. The interval is at least the longest wait that was named, grows with
//! each refusal of a request that it let in just so, and shrinks with each such request that is served: it comes to
//! rest where one of some forty is refused.

use std::time::Duration;

use super::Gauge;
use crate::clock::Moment;
use crate::limits::marks::Mark;
use crate::limits::reading::{Counted, Source};
use crate::provider::{Dimension, Window};

/// By how much a refusal lengthens the interval.
const GROWTH: f64 = 1.25;

/// By how much a success shortens it.
const SHRINKAGE: f64 = 1.0 - 1.0 / 256.0;

/// The longest interval, in microseconds: one second. What takes longer is a cooldown, and no pace.
const LONGEST_US: f64 = 1e6;

// === impl Gauge ===

impl Gauge {
    /// One request at a time, the next after this wait.
    pub(in crate::limits) fn spacing(wait: Duration) -> Self {
        let interval = us(wait).min(LONGEST_US);
        let gauge = Self::bucket(
            Counted::Of(Dimension::Requests),
            Window::from_secs(0),
            1,
            interval,
            Source::Learned,
        );
        Self { is_spacing: true, ..gauge }
    }

    /// A request was refused, with a wait from `answered` on; `mark` is what the spacing showed it, if it let it in
    /// just so.
    pub(in crate::limits) fn space_out(&mut self, wait: Duration, mark: Option<Mark>, answered: Moment) {
        let Some((_, interval)) = self.as_bucket() else { return };
        // Of requests that were let in by the same interval, the first that is refused says it all.
        let is_news = mark.is_some_and(|mark| mark.corrections == self.mark().corrections);
        let grown = if is_news { interval * GROWTH } else { interval };
        self.set_bucket(1, grown.max(us(wait)).min(LONGEST_US));
        self.is_full_at(answered.saturating_add(wait).as_unix_us(), None);
    }

    /// A request that was let in just so was served.
    pub(in crate::limits) fn draw_in(&mut self) {
        if let Some((_, interval)) = self.as_bucket() {
            self.set_bucket(1, interval * SHRINKAGE);
        }
    }
}

fn us(wait: Duration) -> f64 {
    wait.as_secs_f64() * 1e6
}
