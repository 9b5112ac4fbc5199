//! Request spacing, learned from refusals alone.
//!
//! Some upstreams refuse requests for arriving too fast and report no limit, or deny it: the headers of their
//! successes have thousands left. Such a header closes nothing, so all waiting requests would go at once when
//! the short wait is over, and all but one would be refused again. Therefore a refusal with a short wait that
//! no known limit explains makes the scope space its requests.
//!
//! The interval is at least the longest wait that the upstream named. It grows with each refusal of a request
//! that it let in just in time, and shrinks with each such request that is served. It settles where about one
//! request in forty is refused.

use std::time::Duration;

use crate::clock::Moment;
use crate::limits::ledger::checkpoint::Checkpoint;
use crate::limits::ledger::gauge::Gauge;
use crate::limits::ledger::status::{LimitSource, Metric};
use crate::provider::{Dimension, Window};

/// Factor by which a refusal lengthens the interval.
const GROWTH: f64 = 1.25;

/// Factor by which a success shortens the interval.
const SHRINKAGE: f64 = 1.0 - 1.0 / 256.0;

/// Maximum interval: one second, in microseconds. A longer wait is a cooldown, not a spacing.
const LONGEST_US: f64 = 1e6;

/// Creates a gauge that admits one request at a time, and the next one after `wait`.
pub(in crate::limits) fn spacing(wait: Duration) -> Gauge {
    let interval = us(wait).min(LONGEST_US);
    let gauge = Gauge::bucket(
        Metric::Of(Dimension::Requests),
        Window::from_secs(0),
        1,
        interval,
        LimitSource::Learned,
    );
    Gauge { is_spacing: true, ..gauge }
}

/// Lengthens the interval after a refusal with a wait from `answered` on. `checkpoint` is the state that the
/// spacing showed the request, if it let the request in just in time.
pub(in crate::limits) fn space_out(
    gauge: &mut Gauge,
    wait: Duration,
    checkpoint: Option<Checkpoint>,
    answered: Moment,
) {
    let Some((_, interval)) = gauge.as_bucket() else { return };
    // Of the requests that the same interval let in, only the first refusal lengthens it.
    let is_news =
        checkpoint.is_some_and(|checkpoint| checkpoint.corrections == gauge.checkpoint().corrections);
    let grown = if is_news { interval * GROWTH } else { interval };
    gauge.set_bucket(1, grown.max(us(wait)).min(LONGEST_US));
    gauge.is_full_at(answered.saturating_add(wait).as_unix_us(), None);
}

/// Shortens the interval after a request was served that it had let in just in time.
pub(in crate::limits) fn draw_in(gauge: &mut Gauge) {
    if let Some((_, interval)) = gauge.as_bucket() {
        gauge.set_bucket(1, interval * SHRINKAGE);
    }
}

fn us(wait: Duration) -> f64 {
    wait.as_secs_f64() * 1e6
}
