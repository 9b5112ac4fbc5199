//! The search for the interval of an undeclared limit.
//!
//! A refusal can state no wait at all, or a wait that is rounded up: `retry-after` has whole seconds, and one
//! of them is fifty times the wait of a limit of 50 requests per second. Then served requests are the better
//! evidence. Three rules follow from them:
//!
//! - **No stated wait.** If the scope was serving a moment ago, it probably serves again after about twice the
//!   time since then, and after at least 5 ms. Each further refusal in a row at least doubles that time. When
//!   it exceeds a second, the refusal has another cause, and the usual cooldown without a wait follows: 1 s,
//!   doubling.
//! - **A stated wait of a second or less** is an upper bound. If the scope has served requests at less than
//!   half of that distance, one request may try earlier, after the learned interval. A refusal of that request
//!   restores the stated wait.
//! - **A stated wait that nothing contradicts** holds.
//!
//! The interval grows with each refusal of a request that it let in just in time, and shrinks with each such
//! request that is served: in large steps as long as it is far above the interval that was refused last, and
//! in small steps from then on. It settles where about one request in a hundred is refused.
//!
//! A provider that means its wait must not be asked again and again. So every early attempt is a single
//! request of the scope, and every one that fails doubles the number of requests that must be served before
//! the next one.

use std::time::Duration;

use crate::clock::Moment;
use crate::limits::ledger::cadence::Cadence;
use crate::limits::ledger::gauge::Gauge;
use crate::limits::ledger::gauge::spacing::{LONGEST_US, draw_in, give_up, interval, space_out, us};

/// Maximum stated wait that may be rounded up: one second, the least that `retry-after` can state.
pub(crate) const ROUNDED: Duration = Duration::from_secs(1);

/// Minimum time between two requests that the search tries, in microseconds.
const LEAST_US: f64 = 5e3;

/// Maximum distance of requests after a whole second that was stated, in microseconds: less than half a second.
/// Requests at that distance show whether the stated second is rounded up.
const SHORT_US: f64 = 4e5;

/// A served request contradicts a stated wait that is longer than this many times its own distance.
const CONTRADICTION: f64 = 2.0;

/// Factor by which the refusal of a request that came just in time lengthens the interval.
const GROWTH: f64 = 1.25;

/// The same factor for an interval that was [found](FOUND).
const GROWTH_FOUND: f64 = 1.1;

/// An interval of this many times the longest refused one is shortened in large steps.
const FAR: f64 = 1.5;

/// Factor of a large step, as far as requests were served at the shorter distance.
const PROVEN: f64 = 0.5;

/// Factor of a large step to a distance at which no request was served.
const UNPROVEN: f64 = 1.0 - 1.0 / 8.0;

/// Factor of a small step.
const SETTLING: f64 = 1.0 - 1.0 / 256.0;

/// Factor of a small step of an interval that was [found](FOUND).
const SETTLED: f64 = 1.0 - 1.0 / 1024.0;

/// Number of requests that an interval must let in just in time without a refusal to count as found.
const FOUND: u16 = 8;

/// Number of such requests after which the interval may be longer than necessary.
const LONG_AGO: u16 = 1_000;

/// Time after which a success ends an interval that no refusal has confirmed. It includes the stated wait.
const UNCONFIRMED: Duration = Duration::from_secs(2);

/// Maximum number of failed early attempts that count: 1,024 requests must be served before the next one.
const MAX_FAILURES: u8 = 10;

/// The state of the search in one scope.
#[derive(Debug, Default)]
pub(in crate::limits) struct Search {
    /// The requests that the scope has served. Their shortest distance is forgotten when an attempt fails.
    cadence: Cadence,
    /// The arrival of the latest refusal that was news. Requests that were sent before it belong to the same
    /// volley, and their refusals are no news.
    refused_at: Moment,
    /// Whether no request was served that was sent after that.
    is_refused: bool,
    /// Whether requests may try before the usual or the stated time.
    is_trying: bool,
    /// The interval whose request was refused last, in microseconds. It decreases with each success, because
    /// the refusal may have had another cause.
    floor: f64,
    /// The time of the latest change of the interval.
    changed_at: Moment,
    /// Number of requests that the interval has let in just in time and that were served, since the latest
    /// refusal.
    in_time: u16,
    /// Number of requests served since an attempt last failed.
    served: u16,
    /// Number of attempts that failed, minus those that succeeded.
    failures: u8,
}

/// A refusal for arriving too fast, which no known limit explains.
pub(in crate::limits) struct Refusal {
    pub(in crate::limits) sent: Moment,
    pub(in crate::limits) answered: Moment,
    /// The wait that the provider stated, at most [`ROUNDED`].
    pub(in crate::limits) stated: Option<Duration>,
    /// Whether the interval let the request in just in time.
    pub(in crate::limits) in_time: bool,
    /// The requests that the key has served. They count until the scope has served some.
    pub(in crate::limits) key: Cadence,
}

/// The wait that follows from a refusal for arriving too fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pacing {
    /// The ledger admits the next requests by itself, the first of them after this wait.
    Paced(Duration),
    /// The provider stated the wait. One request must show that it is over.
    Stated,
    /// The provider stated no wait. One request must show that this wait suffices.
    Guessed(Duration),
    /// The provider stated no wait, and none can be guessed.
    Unknown,
}

// === impl Search ===

impl Search {
    /// Records a request that was served. `in_time` says whether the interval let it in just in time.
    pub(in crate::limits) fn served(
        &mut self,
        gauge: &mut Gauge,
        in_time: bool,
        sent: Moment,
        answered: Moment,
    ) {
        self.cadence.served(sent);
        if sent >= self.refused_at {
            self.failures = self.failures.saturating_sub(u8::from(self.is_trying));
            (self.is_refused, self.is_trying) = (false, false);
            self.served = self.served.saturating_add(1);
        }
        if in_time {
            self.in_time = self.in_time.saturating_add(1);
            self.floor *= SETTLING;
        }
        self.draw_in(gauge, in_time, sent, answered);
    }

    /// Records a refusal.
    pub(in crate::limits) fn refused(&mut self, gauge: &mut Gauge, refusal: &Refusal) -> Pacing {
        if refusal.sent < self.refused_at {
            // The refusal that was news has set the wait. This one changes nothing.
            return refusal.stated.map_or(Pacing::Paced(Duration::ZERO), |_| Pacing::Stated);
        }
        let is_found = !self.is_refused && self.in_time >= FOUND;
        let contradicted = refusal.stated.filter(|stated| self.contradicts(*stated, refusal.key));
        let next = self.next(interval(gauge), is_found, refusal).filter(|next| *next < LONGEST_US);
        if refusal.in_time {
            self.floor = interval(gauge);
        }
        let pacing = match refusal.stated {
            Some(stated) if contradicted.is_none() => heed(gauge, stated, next, is_found, refusal),
            stated => {
                self.try_next(next, stated.is_some());
                self.pace(gauge, next, is_found, refusal)
            }
        };
        (self.is_refused, self.in_time) = (true, 0);
        (self.refused_at, self.changed_at) = (refusal.answered, refusal.answered);
        pacing
    }

    /// Shortens the interval after a success.
    fn draw_in(&mut self, gauge: &mut Gauge, in_time: bool, sent: Moment, answered: Moment) {
        let interval = interval(gauge);
        if self.floor == 0.0 && answered.saturating_since(self.changed_at) > UNCONFIRMED {
            return give_up(gauge);
        }
        if !in_time {
            return;
        }
        if interval <= self.floor * FAR {
            let is_settled = (FOUND..LONG_AGO).contains(&self.in_time);
            draw_in(gauge, interval * if is_settled { SETTLED } else { SETTLING });
        } else if sent >= self.changed_at {
            // A large step waits for the success of a request that the previous step has let in. It is larger
            // as far as requests were served at that distance.
            let served = self.cadence.apart.map_or(0.0, |apart| apart as f64);
            draw_in(gauge, (interval * PROVEN).max(served).min(interval * UNPROVEN));
            self.changed_at = answered;
        }
    }

    /// Returns whether one request may try before the stated wait is over.
    pub(in crate::limits) const fn may_try(&self) -> bool {
        self.is_trying
    }

    /// Returns whether the scope has served requests at much shorter distances than this wait.
    fn contradicts(&self, stated: Duration, key: Cadence) -> bool {
        let apart = self.evidence(key).apart;
        apart.is_some_and(|apart| us(stated) > apart as f64 * CONTRADICTION)
    }

    /// Returns the interval to try after a refusal, in microseconds; `None` without any evidence.
    fn next(&self, interval: f64, is_found: bool, refusal: &Refusal) -> Option<f64> {
        let cadence = self.evidence(refusal.key);
        let gap = cadence.gap(refusal.sent).map(|gap| gap as f64);
        let apart = cadence.apart.map(|apart| apart as f64);
        if self.is_refused {
            // After a stated wait, the time since the latest success says nothing.
            let tried = if refusal.stated.is_some() { apart } else { gap };
            return Some(2.0 * interval.max(tried.unwrap_or(0.0)).max(LEAST_US));
        }
        if interval > 0.0 && is_found {
            return Some(interval * GROWTH_FOUND);
        }
        if interval > 0.0 {
            let served = apart.unwrap_or(0.0).min(interval * 4.0);
            return Some(served.max(interval * GROWTH));
        }
        // A shorter distance than that of the refused request belongs to a burst, or the latest request that
        // was served is not known yet, because its response is not there.
        let first = match (gap, apart) {
            (None, None) => return None,
            (Some(gap), None) => 2.0 * gap,
            (Some(gap), Some(apart)) if apart <= gap => (2.0 * gap).min(4.0 * apart),
            (_, Some(apart)) => apart,
        };
        Some(first.max(LEAST_US))
    }

    const fn evidence(&self, key: Cadence) -> Cadence {
        if self.cadence.latest.is_some() { self.cadence } else { key }
    }

    /// Decides whether requests may try the next interval. After a stated wait, only one may.
    fn try_next(&mut self, next: Option<f64>, is_stated: bool) {
        let was_trying = self.is_trying;
        let has_credit = self.failures == 0 || self.served >= 1 << self.failures;
        let may_go_on = if self.is_refused { was_trying && !is_stated } else { has_credit };
        self.is_trying = may_go_on && next.is_some();
        if was_trying && !self.is_trying {
            self.failures = (self.failures + 1).min(MAX_FAILURES);
            self.served = 0;
            self.cadence.apart = None;
        }
    }

    /// Sets the next interval. Returns what follows for the scope.
    fn pace(&self, gauge: &mut Gauge, next: Option<f64>, is_found: bool, refusal: &Refusal) -> Pacing {
        let at = next.map(|next| refusal.sent.saturating_add(from_us(next)));
        match next.zip(at) {
            Some((next, at)) => space_out(gauge, next, at),
            None if self.is_refused => give_up(gauge),
            None => {}
        }
        match at.filter(|_| self.is_trying).map(|at| at.saturating_since(refusal.answered)) {
            _ if refusal.stated.is_some() => Pacing::Stated,
            None => Pacing::Unknown,
            Some(left) if is_found => Pacing::Paced(left),
            Some(left) => Pacing::Guessed(left.max(from_us(LEAST_US))),
        }
    }
}

/// Follows a stated wait that nothing contradicts.
fn heed(gauge: &mut Gauge, stated: Duration, next: Option<f64>, is_found: bool, refusal: &Refusal) -> Pacing {
    if stated >= ROUNDED {
        if let Some(next) = next.filter(|next| *next <= SHORT_US) {
            space_out(gauge, next, refusal.answered);
        }
        return Pacing::Stated;
    }
    let grown = match refusal.in_time {
        true if is_found => interval(gauge) * GROWTH_FOUND,
        true => interval(gauge) * GROWTH,
        false => interval(gauge),
    };
    space_out(gauge, grown.max(us(stated)), refusal.answered.saturating_add(stated));
    if is_found { Pacing::Paced(stated) } else { Pacing::Stated }
}

fn from_us(us: f64) -> Duration {
    Duration::from_micros(us as u64)
}
