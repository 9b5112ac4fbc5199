//! Request spacing, learned from refusals alone.
//!
//! Some upstreams refuse requests for arriving too fast and report no limit, or deny it: the headers of their
//! successes have thousands left. Such a header closes nothing, so all waiting requests would go at once when
//! the short wait is over, and all but one would be refused again. Therefore a refusal with a short wait that
//! no known limit explains makes the scope space its requests.
//!
//! `search` decides the interval.

use std::time::Duration;

use crate::clock::Moment;
use crate::limits::ledger::gauge::Gauge;
use crate::limits::ledger::gauge::stated::{is_full_at, set_bucket};
use crate::limits::ledger::status::{LimitSource, Metric};
use crate::provider::{Dimension, Window};

/// Upper bound of intervals: one second, in microseconds. A longer wait is a cooldown, not a spacing.
pub(in crate::limits) const LONGEST_US: f64 = 1e6;

/// Creates a gauge that spaces nothing yet.
pub(in crate::limits) fn spacing() -> Gauge {
    let requests = Metric::Of(Dimension::Requests);
    let gauge = Gauge::bucket(requests, Window::from_secs(0), 1, 0.0, LimitSource::Learned);
    Gauge { is_spacing: true, ..gauge }
}

/// Returns the interval of a spacing, in microseconds; zero if it spaces nothing.
pub(in crate::limits) fn interval(gauge: &Gauge) -> f64 {
    gauge.as_bucket().map_or(0.0, |(_, interval)| interval)
}

/// Lengthens the interval to this number of microseconds, and lets the next request in at `at` or later. The
/// longer interval also counts from the latest request, which the shorter one has let in.
pub(in crate::limits) fn space_out(gauge: &mut Gauge, longer: f64, at: Moment) {
    let more = (longer - interval(gauge)).max(0.0) as u64;
    let since_latest = gauge.checkpoint().full_at.saturating_add(more);
    set_bucket(gauge, 1, longer.min(LONGEST_US));
    is_full_at(gauge, at.as_unix_us().max(since_latest), None);
}

/// Spaces requests no more.
pub(in crate::limits) fn give_up(gauge: &mut Gauge) {
    set_bucket(gauge, 1, 0.0);
    is_full_at(gauge, 0, None);
}

/// Sets the interval, in microseconds. Requests that were let in before keep their distance.
pub(in crate::limits) fn draw_in(gauge: &mut Gauge, interval: f64) {
    set_bucket(gauge, 1, interval);
}

/// Returns a wait in microseconds.
pub(in crate::limits) fn us(wait: Duration) -> f64 {
    wait.as_secs_f64() * 1e6
}
