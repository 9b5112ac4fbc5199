//! From what an answer says to gauges.
//!
//! Three things are not in a header and have to be told. *Which moment* it speaks of: that at which the provider
//! took the request in, which is about when it was sent, however long the answer took. How far a bucket was off
//! then it is off now, so the error is carried over; to a window what was sent since is added. *How fast* a bucket
//! refills: as documented, where that agrees with the reset and no faster pace that was seen does, and else what
//! the resets themselves allow, since limits may be enforced over shorter windows than they are named for. And
//! *how much a whole number hides*: remaining is rounded down, so the true level is up to one higher, and the rate
//! that follows from it is taken at its lowest. The next answer corrects what that leaves unused, and a call that
//! is refused costs more than one that comes a moment late.
//!
//! Which of the answers is the newest is for [`Heard`](super::heard::Heard) to say.
//!
//! And there is *how evenly* requests travel: one that is slower than the next shortens the distance between
//! the two. Who keeps to the provider's pace exactly is refused half the time where there is no burst, so
//! a bucket is used a little later than it could be. How much is learned from refusals.

use std::time::Duration;

use super::gauge::Gauge;
use super::ledger::MAX_LEARNED;
use super::marks::{Mark, Marks};
use super::period::{Anew, LONGEST_US, us_of};
use super::reading::{Counted, Source};
use crate::clock::Moment;
use crate::provider::{Dimension, Limit, Window};

/// What an answer says of limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed<'a> {
    pub(crate) limits: &'a [Limit],
    /// A reset is when a bucket is full, not when a window is over.
    pub(crate) resets_mean_full: bool,
    /// The request was let in, and what is left is what it has left.
    pub(crate) admitted: bool,
    /// When the request was sent, and when the head of its answer came.
    pub(crate) sent: Moment,
    pub(crate) answered: Moment,
}

/// The longest wait that a header is believed: one day. Then the scope is tried.
const LONGEST: Duration = Duration::from_micros(LONGEST_US);

/// Resets are rounded to seconds by some.
const ROUNDING_US: f64 = 1e6;

/// Applies what an answer says to the learned gauges, which come behind the `declared` ones.
pub(super) fn learn(
    gauges: &mut Box<[Gauge]>,
    declared: usize,
    marks: Option<&Marks>,
    observed: &Observed<'_>,
) {
    for limit in observed.limits {
        let Some(remaining) = limit.remaining else { continue };
        let count = gauges.len();
        let Some(index) = find_or_make(gauges, declared, limit, observed) else { continue };
        let is_new = gauges.len() > count;
        let gauge = &mut gauges[declared + index];
        if marks.is_some_and(|marks| marks.is_close(index)) {
            learn_distance(gauge, remaining, observed.admitted);
        }
        let mark = marks.and_then(|marks| marks.get(index));
        // From before the gauge was there: news only if it is worse than what is known.
        if mark.is_some() || is_new || remaining < gauge.read(observed.answered).remaining {
            apply(gauge, limit, remaining, mark, observed);
        }
    }
}

/// The number among the learned gauges of the one for a limit, which is made if there is none and room for one.
fn find_or_make(
    gauges: &mut Box<[Gauge]>,
    declared: usize,
    limit: &Limit,
    observed: &Observed<'_>,
) -> Option<usize> {
    let counted = counted(limit.dimension)?;
    let window = as_named(limit.window);
    let learned = &gauges[declared..];
    let is_it = |gauge: &Gauge| {
        let is_named = gauge.counted == counted && gauge.window().unwrap_or(Window::from_secs(0)) == window;
        is_named && !gauge.is_spacing
    };
    if let Some(index) = learned.iter().position(is_it) {
        return Some(index);
    }
    let index = learned.len();
    if index < MAX_LEARNED {
        push(gauges, first(counted, window, limit, observed)?);
        return Some(index);
    }
    None
}

/// The only thing that takes the gauges out of their place, and it can't panic meanwhile.
pub(super) fn push(gauges: &mut Box<[Gauge]>, gauge: Gauge) {
    let mut all = std::mem::take(gauges).into_vec();
    all.push(gauge);
    *gauges = all.into();
}

/// The window by which a gauge is found again: in seconds, at most as many as it can keep.
fn as_named(window: Option<Window>) -> Window {
    let seconds = window.map_or(0, |window| window.length().as_secs());
    Window::from_secs(seconds.min(u32::MAX.into()))
}

/// A request that came close was taken in by the provider, or refused.
fn learn_distance(gauge: &mut Gauge, remaining: u64, admitted: bool) {
    // Before the first that the gauge let in there may have been others, sent before it was there.
    let is_first = gauge.heard.is_nothing();
    // What is refused where something is left is refused for something else.
    if !is_first && (admitted || remaining == 0) {
        gauge.distance.learn(admitted);
    }
}

fn first(counted: Counted, window: Window, limit: &Limit, observed: &Observed<'_>) -> Option<Gauge> {
    let size = limit.limit.or(limit.remaining)?;
    if observed.resets_mean_full || limit.reset.is_none() {
        // Without a window or a reset there is no telling how fast it refills.
        let interval = as_kept(us_of(window) / size.max(1) as f64);
        let known = interval > 0.0 || limit.reset.is_some_and(|reset| !reset.is_zero());
        return known.then(|| Gauge::bucket(counted, window, size, interval, Source::Learned));
    }
    Some(Gauge::period(counted, window, size, Anew::Told, Source::Learned))
}

/// What it says, unless something newer was heard.
fn apply(gauge: &mut Gauge, limit: &Limit, remaining: u64, mark: Option<Mark>, observed: &Observed<'_>) {
    match gauge.as_bucket() {
        Some(bucket) => apply_to_bucket(gauge, bucket, limit, remaining, mark, observed),
        None => apply_to_period(gauge, limit, remaining, mark, observed),
    }
}

fn apply_to_period(
    gauge: &mut Gauge,
    limit: &Limit,
    remaining: u64,
    mark: Option<Mark>,
    observed: &Observed<'_>,
) {
    let size = limit.limit.unwrap_or(remaining);
    let used = size.saturating_sub(remaining);
    if mark.is_some() && !gauge.heard.hear_of_window(observed.sent, used) {
        return;
    }
    let reset = limit.reset.unwrap_or_else(|| window(gauge)).min(LONGEST);
    let ends = observed.answered.saturating_add(reset).as_unix_us();
    // Less than nothing, if more was given back than taken.
    let later = mark.map_or(0, |mark| (gauge.taken.wrapping_sub(mark.taken) as i32).max(0));
    gauge.set_period(size, used.saturating_add(later as u64), ends, observed.answered);
}

fn apply_to_bucket(
    gauge: &mut Gauge,
    (size, interval): (u64, f64),
    limit: &Limit,
    remaining: u64,
    mark: Option<Mark>,
    observed: &Observed<'_>,
) {
    let reset = limit.reset.map(|reset| reset.min(LONGEST));
    let limit_now = limit.limit.unwrap_or_else(|| size.max(remaining));
    let spent = limit_now.saturating_sub(remaining);
    let documented = as_kept(us_of(Window::from_secs(window(gauge).as_secs())) / limit_now.max(1) as f64);
    let known = (size == limit_now).then_some(interval);
    // Of a request that was refused nothing was taken: a reset may be of less than one.
    let at_least = spent.saturating_sub(1).max(observed.admitted.into());
    let interval = reset.map_or(documented, |reset| {
        let shown = Shown { reset: reset.as_secs_f64() * 1e6, spent, at_least, limit: limit_now };
        as_kept(shown.interval(documented, known))
    });
    let missing = Duration::from_micros((spent as f64 * interval) as u64);
    // Remaining hides up to one, unless there is never more.
    let hidden = if limit_now > 1 { Duration::from_micros(interval as u64) } else { Duration::ZERO };
    let at_most = reset.map_or(LONGEST, |reset| reset.saturating_add(hidden));
    let told = observed.sent.saturating_add(missing.min(at_most)).as_unix_us();
    if mark.is_none() || gauge.heard.hear_of_bucket(observed.sent, told) {
        gauge.set_bucket(limit_now, interval);
        gauge.is_full_at(told, mark);
    }
}

/// An interval as exactly as a gauge keeps it, and no longer than any wait is believed.
fn as_kept(interval: f64) -> f64 {
    f64::from(interval.min(LONGEST_US as f64) as f32)
}

fn window(gauge: &Gauge) -> Duration {
    gauge.window().map_or(Duration::ZERO, Window::length)
}

/// What an answer shows of a bucket.
struct Shown {
    /// Until it is full, in microseconds.
    reset: f64,
    /// How much of it is missing: at most so much, and not less than `at_least`.
    spent: u64,
    at_least: u64,
    limit: u64,
}

impl Shown {
    /// How long one unit takes to come back, in microseconds: as documented, if the reset agrees; else the
    /// shortest of the times that resets have not excluded.
    fn interval(&self, documented: f64, known: Option<f64>) -> f64 {
        let known = known.filter(|known| *known > 0.0);
        let rounding = (self.limit / 100).max(1);
        if self.at_least == 0 {
            return known.unwrap_or(documented);
        }
        let most = (self.reset + ROUNDING_US) / self.spent.saturating_sub(rounding).max(1) as f64;
        let least = (self.reset - ROUNDING_US) / self.spent.saturating_add(rounding) as f64;
        let learned = known.filter(|known| *known != documented);
        // What is nearly full agrees with any pace, which is no reason to forget one that was seen.
        let agrees = |interval: f64| (least..=most).contains(&interval);
        if documented > 0.0 && agrees(documented) && !learned.is_some_and(agrees) {
            return documented;
        }
        let bound = self.reset / self.at_least as f64;
        learned.map_or(bound, |learned| learned.min(bound))
    }
}

const fn counted(dimension: Dimension) -> Option<Counted> {
    match dimension {
        Dimension::Requests | Dimension::Tokens | Dimension::InputTokens | Dimension::OutputTokens => {
            Some(Counted::Of(dimension))
        }
        // Nobody knows beforehand how many a request takes.
        Dimension::Images | Dimension::Pages => None,
    }
}
