//! Learning: updates gauges with the limits that a response reports.
//!
//! Headers leave three things open:
//!
//! - *The moment* that they describe. It is the moment at which the provider received the request, which is
//!   about the moment of sending, however long the response took. The error of a bucket at that moment is its
//!   error now, so the error is carried over. To a window, the amount sent since is added.
//! - *The rate* at which a bucket refills. It is the documented rate, if the reset agrees with that and no
//!   faster rate that was seen does. Otherwise it is the rate that the resets themselves allow, since limits
//!   may be enforced over shorter windows than they are named for.
//! - *The rounding* of whole numbers. Remaining is rounded down, so the level may be up to one higher, and
//!   the rate that follows from it is taken at its lowest. The next response corrects the capacity that this
//!   leaves unused, and a refused call costs more than a call that goes out a moment late.
//!
//! [`LatestResponse`](crate::limits::learned::latest::LatestResponse) decides which response is the newest.
//!
//! In addition, *requests travel unevenly*: a request that is slower than the next one shortens the distance
//! between the two. A client that keeps exactly to the provider's rate is refused half the time where no
//! burst is allowed. So a bucket is used a little later than it could be, and refusals teach the [safety
//! margin](crate::limits::learned::margin).

use std::time::Duration;

use crate::clock::Moment;
use crate::limits::ledger::checkpoint::{Checkpoint, Checkpoints, MAX_LEARNED};
use crate::limits::ledger::gauge::Gauge;
use crate::limits::ledger::gauge::shown::read;
use crate::limits::ledger::gauge::stated::{is_full_at, set_bucket, set_period};
use crate::limits::ledger::status::{LimitSource, Metric};
use crate::limits::ledger::window::{LONGEST_US, WindowReset, us_of};
use crate::provider::{Dimension, Limit, Window};

/// The limits that a response reports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed<'a> {
    pub(crate) limits: &'a [Limit],
    /// Whether a reset is the time at which a bucket is full, rather than the time at which a window ends.
    pub(crate) resets_mean_full: bool,
    /// Whether the provider let the request in, so that the remaining amount excludes it already.
    pub(crate) admitted: bool,
    /// The moment at which the request was sent.
    pub(crate) sent: Moment,
    /// The moment at which the head of the response arrived.
    pub(crate) answered: Moment,
}

/// Maximum time for which a header closes a scope: one day. After that, a request tries the scope.
const LONGEST: Duration = Duration::from_micros(LONGEST_US);

/// Rounding error of resets, in microseconds: some providers round them to seconds.
const ROUNDING_US: f64 = 1e6;

/// Applies the limits that a response reports to the learned gauges, which follow the `declared` ones.
pub(in crate::limits) fn learn(
    gauges: &mut Box<[Gauge]>,
    declared: usize,
    checkpoints: Option<&Checkpoints>,
    observed: &Observed<'_>,
) {
    for limit in observed.limits {
        let Some(remaining) = limit.remaining else { continue };
        let count = gauges.len();
        let Some(index) = find_or_make(gauges, declared, limit, observed) else { continue };
        let is_new = gauges.len() > count;
        let gauge = &mut gauges[declared + index];
        if checkpoints.is_some_and(|checkpoints| checkpoints.is_close(index)) {
            learn_distance(gauge, remaining, observed.admitted);
        }
        let checkpoint = checkpoints.and_then(|checkpoints| checkpoints.get(index));
        // Values from before the gauge existed count only if they are worse than the known ones.
        if checkpoint.is_some() || is_new || remaining < read(gauge, observed.answered).remaining {
            apply(gauge, limit, remaining, checkpoint, observed);
        }
    }
}

/// Returns the index of the gauge for a limit, counted among the learned ones. Creates the gauge if there is
/// none and room for one.
fn find_or_make(
    gauges: &mut Box<[Gauge]>,
    declared: usize,
    limit: &Limit,
    observed: &Observed<'_>,
) -> Option<usize> {
    let metric = metric(limit.dimension)?;
    let window = as_named(limit.window);
    let learned = &gauges[declared..];
    let is_it = |gauge: &Gauge| {
        let is_named = gauge.metric == metric && gauge.window().unwrap_or(Window::from_secs(0)) == window;
        is_named && !gauge.is_spacing
    };
    if let Some(index) = learned.iter().position(is_it) {
        return Some(index);
    }
    let index = learned.len();
    if index < MAX_LEARNED {
        push(gauges, first(metric, window, limit, observed)?);
        return Some(index);
    }
    None
}

/// Appends a gauge. No other function moves the gauges out of their place, and this one can't panic
/// meanwhile.
pub(in crate::limits) fn push(gauges: &mut Box<[Gauge]>, gauge: Gauge) {
    let mut all = std::mem::take(gauges).into_vec();
    all.push(gauge);
    *gauges = all.into();
}

/// Returns the window that identifies a gauge: in whole seconds, clamped to the range that a gauge stores.
fn as_named(window: Option<Window>) -> Window {
    let seconds = window.map_or(0, |window| window.length().as_secs());
    Window::from_secs(seconds.min(u32::MAX.into()))
}

/// Teaches the safety margin that a request that came just in time was let in, or refused.
fn learn_distance(gauge: &mut Gauge, remaining: u64, admitted: bool) {
    // Before the first request that the gauge let in, there may be others, sent before the gauge existed.
    let is_first = gauge.latest.is_nothing();
    // A refusal while something is left has another cause.
    if !is_first && (admitted || remaining == 0) {
        gauge.margin.learn(admitted);
    }
}

fn first(metric: Metric, window: Window, limit: &Limit, observed: &Observed<'_>) -> Option<Gauge> {
    let size = limit.limit.or(limit.remaining)?;
    if observed.resets_mean_full || limit.reset.is_none() {
        // Without a window and without a reset, the refill rate is unknown.
        let interval = as_kept(us_of(window) / size.max(1) as f64);
        let known = interval > 0.0 || limit.reset.is_some_and(|reset| !reset.is_zero());
        return known.then(|| Gauge::bucket(metric, window, size, interval, LimitSource::Learned));
    }
    Some(Gauge::period(metric, window, size, WindowReset::Stated, LimitSource::Learned))
}

/// Applies a reported limit to its gauge, unless a newer response was taken into account.
fn apply(
    gauge: &mut Gauge,
    limit: &Limit,
    remaining: u64,
    checkpoint: Option<Checkpoint>,
    observed: &Observed<'_>,
) {
    match gauge.as_bucket() {
        Some(bucket) => apply_to_bucket(gauge, bucket, limit, remaining, checkpoint, observed),
        None => apply_to_period(gauge, limit, remaining, checkpoint, observed),
    }
}

fn apply_to_period(
    gauge: &mut Gauge,
    limit: &Limit,
    remaining: u64,
    checkpoint: Option<Checkpoint>,
    observed: &Observed<'_>,
) {
    let size = limit.limit.unwrap_or(remaining);
    let used = size.saturating_sub(remaining);
    if checkpoint.is_some() && !gauge.latest.hear_of_window(observed.sent, used) {
        return;
    }
    let reset = limit.reset.unwrap_or_else(|| window(gauge)).min(LONGEST);
    let ends = observed.answered.saturating_add(reset).as_unix_us();
    // The difference is negative if more was given back than taken.
    let later = checkpoint.map_or(0, |checkpoint| (gauge.taken.wrapping_sub(checkpoint.taken) as i32).max(0));
    set_period(gauge, size, used.saturating_add(later as u64), ends, observed.answered);
}

fn apply_to_bucket(
    gauge: &mut Gauge,
    (size, interval): (u64, f64),
    limit: &Limit,
    remaining: u64,
    checkpoint: Option<Checkpoint>,
    observed: &Observed<'_>,
) {
    let reset = limit.reset.map(|reset| reset.min(LONGEST));
    let limit_now = limit.limit.unwrap_or_else(|| size.max(remaining));
    let spent = limit_now.saturating_sub(remaining);
    let documented = as_kept(us_of(Window::from_secs(window(gauge).as_secs())) / limit_now.max(1) as f64);
    let known = (size == limit_now).then_some(interval);
    // A refused request took nothing, so its reset may describe less than one unit.
    let at_least = spent.saturating_sub(1).max(observed.admitted.into());
    let interval = reset.map_or(documented, |reset| {
        let shown = Shown { reset: reset.as_secs_f64() * 1e6, spent, at_least, limit: limit_now };
        as_kept(shown.interval(documented, known))
    });
    let missing = Duration::from_micros((spent as f64 * interval) as u64);
    // A remaining amount hides up to one unit, except where the limit is at most one.
    let hidden = if limit_now > 1 { Duration::from_micros(interval as u64) } else { Duration::ZERO };
    let at_most = reset.map_or(LONGEST, |reset| reset.saturating_add(hidden));
    let stated = observed.sent.saturating_add(missing.min(at_most)).as_unix_us();
    if checkpoint.is_none() || gauge.latest.take_latest_of_bucket(observed.sent, stated) {
        set_bucket(gauge, limit_now, interval);
        is_full_at(gauge, stated, checkpoint);
    }
}

/// Rounds an interval to the precision of a gauge, and clamps it to the maximum wait.
fn as_kept(interval: f64) -> f64 {
    f64::from(interval.min(LONGEST_US as f64) as f32)
}

fn window(gauge: &Gauge) -> Duration {
    gauge.window().map_or(Duration::ZERO, Window::length)
}

/// The values that a response reports of a bucket.
struct Shown {
    /// The time until the bucket is full, in microseconds.
    reset: f64,
    /// The maximum amount that is missing from the bucket.
    spent: u64,
    /// The minimum amount that is missing from the bucket.
    at_least: u64,
    limit: u64,
}

impl Shown {
    /// Returns the time in which one unit comes back, in microseconds: the documented time if the reset
    /// agrees, and otherwise the shortest time that the resets have not excluded.
    fn interval(&self, documented: f64, known: Option<f64>) -> f64 {
        let known = known.filter(|known| *known > 0.0);
        let rounding = (self.limit / 100).max(1);
        if self.at_least == 0 {
            return known.unwrap_or(documented);
        }
        // The interval lies between these bounds, whichever way reset and spent were rounded.
        let most = (self.reset + ROUNDING_US) / self.spent.saturating_sub(rounding).max(1) as f64;
        let least = (self.reset - ROUNDING_US) / self.spent.saturating_add(rounding) as f64;
        let learned = known.filter(|known| *known != documented);
        // A nearly full bucket agrees with any rate, which is no reason to forget a learned rate.
        let agrees = |interval: f64| (least..=most).contains(&interval);
        if documented > 0.0 && agrees(documented) && !learned.is_some_and(agrees) {
            return documented;
        }
        let bound = self.reset / self.at_least as f64;
        learned.map_or(bound, |learned| learned.min(bound))
    }
}

const fn metric(dimension: Dimension) -> Option<Metric> {
    match dimension {
        Dimension::Requests | Dimension::Tokens | Dimension::InputTokens | Dimension::OutputTokens => {
            Some(Metric::Of(dimension))
        }
        // The number of images or pages that a request takes is unknown before it is served.
        Dimension::Images | Dimension::Pages => None,
    }
}
