//! The current amounts of limits, as headers and tests read them.

use std::time::Duration;

/// The current amount of one limit, in requests or tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauge {
    /// The largest amount that the limit ever allows at once.
    pub(crate) limit: u64,
    /// The whole amount that is left, rounded down.
    pub(crate) remaining: u64,
    /// Time until the whole limit is available again. `Duration::MAX` if it never refills.
    pub(crate) full_in: Duration,
}

/// The gauges of one model. A gauge is `None` where there is no such limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) requests: Option<Gauge>,
    pub(crate) tokens: Option<Gauge>,
    pub(crate) day: Option<Gauge>,
}

/// The amounts that a key or an account may use now, by its limits. A field is `None` if there is no such
/// limit.
///
/// Amounts are fractional: a part of a request is one that the limit is refilling. Over a period, a limit
/// allows the amount it holds now and the amount that it refills in that period.
///
/// Returned by [`KeyHandle::headroom`](crate::KeyHandle::headroom) and
/// [`AccountHandle::headroom`](crate::AccountHandle::headroom).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Headroom {
    /// Number of requests that the tightest of the request limits allows.
    pub requests: Option<f64>,
    /// Number of tokens, of requests and responses together.
    pub tokens: Option<f64>,
}

// === impl Gauges ===

impl Gauges {
    /// Returns, for each limit, the gauge with less remaining.
    pub(crate) fn tighter(self, other: Self) -> Self {
        Self {
            requests: tighter(self.requests, other.requests),
            tokens: tighter(self.tokens, other.tokens),
            day: tighter(self.day, other.day),
        }
    }
}

/// Returns the gauge with less remaining, and `one` if both have the same.
fn tighter(one: Option<Gauge>, other: Option<Gauge>) -> Option<Gauge> {
    one.into_iter().chain(other).min_by_key(|gauge| gauge.remaining)
}
