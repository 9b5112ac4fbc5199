//! A gauge: one dimension, counted over one window.
//!
//! A bucket is a single number: the time at which it will be *full* if nothing more is taken. Its level
//! follows from that time and the rate. Taking moves the time forward, giving back moves it backward, and a
//! header whose reset means *full* states the time itself. So no refill has to run, and no level is ever out
//! of date.

#[cfg(feature = "redis")]
pub(in crate::limits) mod allotted;
pub(in crate::limits) mod shared;
pub(in crate::limits) mod shown;
pub(in crate::limits) mod spacing;
pub(in crate::limits) mod stated;

use crate::clock::Moment;
use crate::limits::learned::latest::LatestResponse;
use crate::limits::learned::margin::SafetyMargin;
use crate::limits::ledger::checkpoint::Checkpoint;
use crate::limits::ledger::cost::Cost;
#[cfg(feature = "redis")]
use crate::limits::ledger::sharing::allotment::Allotment;
use crate::limits::ledger::status::{LimitSource, Metric};
use crate::limits::ledger::warnings::WarnedThresholds;
use crate::limits::ledger::window::{WindowReset, WindowState, narrow, us_of};
use crate::provider::Window;

/// A gauge: one dimension, counted over one window.
#[derive(Debug)]
pub(in crate::limits) struct Gauge {
    fill: Counter,
    /// The part of a shared limit that this instance may take; `None` for a limit that is not shared.
    #[cfg(feature = "redis")]
    allotment: Option<Box<Allotment>>,
    /// The length of the window in seconds; zero for no window.
    window: u32,
    /// The units ever taken; wraps. The difference from a [`Checkpoint`] is the amount taken since that request.
    pub(in crate::limits) taken: u32,
    /// The part of `taken` that other processes took from a bucket.
    others: u32,
    pub(in crate::limits) latest: LatestResponse,
    /// The learned safety margin. It learns only from requests that were [close](Self::is_close) to being too
    /// early.
    pub(in crate::limits) margin: SafetyMargin,
    warned: WarnedThresholds,
    pub(in crate::limits) metric: Metric,
    pub(in crate::limits) source: LimitSource,
    /// Whether the gauge spaces requests because of refusals that no known limit explains.
    pub(in crate::limits) is_spacing: bool,
}

#[derive(Debug)]
enum Counter {
    /// A bucket, which refills evenly.
    Bucket {
        /// Maximum level; never zero.
        size: u32,
        /// Time in which one unit comes back, in microseconds. The precision of `f32` makes a day right to a
        /// few milliseconds.
        interval: f32,
        /// The time at which the bucket is full, in microseconds since the Unix epoch. A time in the past
        /// means full.
        full_at: u64,
        /// The distance by which headers have moved `full_at`, in units of [`CORRECTION_US`](crate::limits::ledger::window::CORRECTION_US); wraps.
        corrections: u32,
    },
    WindowState(Box<WindowState>),
    /// Places that requests in flight take and give back.
    Concurrent {
        size: u32,
        used: u32,
    },
}

/// The time of an amount that never becomes available.
pub(in crate::limits) const NEVER: u64 = u64::MAX;

/// The time of an amount that becomes available when a request in flight ends.
pub(in crate::limits) const AFTER_ANOTHER: u64 = NEVER - 1;

/// Upper bound of all times and refill times: about thirty thousand years, in microseconds. Sums and
/// differences of a few such times fit into an `i64`, whatever headers say.
const LATEST: u64 = 1 << 60;

// === impl Gauge ===

impl Gauge {
    /// Creates a bucket that is full.
    pub(in crate::limits) fn bucket(
        metric: Metric,
        window: Window,
        size: u64,
        interval: f64,
        source: LimitSource,
    ) -> Self {
        let (size, interval) = (narrow(size).max(1), interval as f32);
        let fill = Counter::Bucket { size, interval, full_at: 0, corrections: 0 };
        Self::new(fill, metric, window, source)
    }

    /// Creates a bucket that refills a window's amount within the window.
    pub(in crate::limits) fn refilled(
        metric: Metric,
        amount: u64,
        window: Window,
        burst: Option<u64>,
    ) -> Self {
        let interval = us_of(window) / amount.max(1) as f64;
        Self::bucket(metric, window, burst.unwrap_or(amount), interval, LimitSource::Declared)
    }

    /// Creates a window with nothing used. It begins with the first request.
    pub(in crate::limits) fn period(
        metric: Metric,
        window: Window,
        size: u64,
        reset: WindowReset,
        source: LimitSource,
    ) -> Self {
        let period = WindowState { size, used: 0, others: 0, began: 0, ends: 0, reset };
        Self::new(Counter::WindowState(Box::new(period)), metric, window, source)
    }

    pub(in crate::limits) fn places(size: u64) -> Self {
        let fill = Counter::Concurrent { size: narrow(size), used: 0 };
        Self::new(fill, Metric::Concurrent, Window::from_secs(0), LimitSource::Declared)
    }

    fn new(fill: Counter, metric: Metric, window: Window, source: LimitSource) -> Self {
        let window = narrow(window.length().as_secs());
        Self {
            fill,
            #[cfg(feature = "redis")]
            allotment: None,
            window,
            taken: 0,
            others: 0,
            latest: LatestResponse::default(),
            margin: SafetyMargin::default(),
            warned: WarnedThresholds::default(),
            metric,
            source,
            is_spacing: false,
        }
    }

    pub(in crate::limits) fn window(&self) -> Option<Window> {
        (self.window > 0).then(|| Window::from_secs(self.window.into()))
    }

    /// Returns the cost of a request in the unit of this gauge, at most the size of the limit. So a request
    /// that is larger than the limit is let in when the limit is untouched, and no request waits for more
    /// than one whole limit.
    pub(in crate::limits) fn part_of(&self, cost: &Cost) -> u64 {
        self.at_most(cost.of(self.metric))
    }

    pub(in crate::limits) fn at_most(&self, amount: u64) -> u64 {
        let size = match &self.fill {
            Counter::Bucket { size, .. } | Counter::Concurrent { size, .. } => u64::from(*size),
            Counter::WindowState(period) => period.size,
        };
        amount.min(size.max(1))
    }

    /// Returns the time at which an amount can be taken. A time not later than `now` means now.
    /// [`AFTER_ANOTHER`] and [`NEVER`] mean that no time brings it.
    pub(in crate::limits) fn available_at(&mut self, amount: u64, now: Moment) -> u64 {
        self.renew(now);
        let at = match &self.fill {
            _ if amount == 0 => return 0,
            Counter::Bucket { size, interval, full_at, .. } => {
                // There is room for the amount as long as at most `spare` units are missing, so `spare` intervals
                // before the bucket is full.
                let spare = u64::from(*size).saturating_sub(amount);
                let at = full_at.saturating_sub(us(*interval, spare));
                at.saturating_add(self.margin.of((*interval).into()))
            }
            Counter::WindowState(period) if period.is_shut() => NEVER,
            Counter::WindowState(period) if period.has_room_for(amount) => 0,
            Counter::WindowState(period) => period.ends,
            Counter::Concurrent { size: 0, .. } => NEVER,
            Counter::Concurrent { size, used } if used < size => 0,
            Counter::Concurrent { .. } => AFTER_ANOTHER,
        };
        #[cfg(feature = "redis")]
        if at <= now.as_unix_us() && self.allotment.is_some() {
            return allotted::available_at(self, amount, now);
        }
        at
    }

    pub(in crate::limits) fn take(&mut self, amount: u64, now: Moment) {
        self.count(amount, now);
        #[cfg(feature = "redis")]
        if let Some(allotment) = &mut self.allotment {
            allotment.take(amount);
        }
    }

    /// Counts an amount that this instance or another one takes.
    fn count(&mut self, amount: u64, now: Moment) {
        self.renew(now);
        self.taken = self.taken.wrapping_add(narrow(amount));
        match &mut self.fill {
            Counter::Bucket { interval, full_at, .. } => {
                // A full bucket counts from now; every unit that is taken adds one interval.
                let after = (*full_at).max(now.as_unix_us()).saturating_add(us(*interval, amount));
                *full_at = after.min(LATEST);
            }
            Counter::WindowState(period) => period.used = period.used.saturating_add(amount),
            Counter::Concurrent { used, .. } => *used = used.saturating_add(narrow(amount)),
        }
    }

    /// Gives back an unused amount that was taken at `taken_at`.
    pub(in crate::limits) fn give_back(&mut self, amount: u64, taken_at: Moment) {
        #[cfg(feature = "redis")]
        if let Some(allotment) = &mut self.allotment
            && !matches!(&self.fill, Counter::WindowState(period) if period.began > taken_at.as_unix_us())
        {
            allotment.give_back(amount);
        }
        self.uncount(amount, taken_at);
    }

    /// Stops counting an amount that this instance or another one took at `taken_at`.
    fn uncount(&mut self, amount: u64, taken_at: Moment) {
        self.taken = self.taken.wrapping_sub(narrow(amount));
        match &mut self.fill {
            Counter::Bucket { interval, full_at, .. } => {
                *full_at = full_at.saturating_sub(us(*interval, amount));
            }
            Counter::WindowState(period) if period.began <= taken_at.as_unix_us() => {
                period.used = period.used.saturating_sub(amount);
            }
            Counter::WindowState(_) => {}
            Counter::Concurrent { used, .. } => *used = used.saturating_sub(narrow(amount)),
        }
    }

    /// Returns whether an amount that is available from `at` on might be too early under a larger safety
    /// margin.
    pub(in crate::limits) fn is_close(&self, at: u64, now: Moment) -> bool {
        let Counter::Bucket { interval, .. } = self.fill else { return false };
        at.saturating_add(SafetyMargin::FARTHEST.of(interval.into())) > now.as_unix_us()
    }

    /// Returns the state of the gauge, right after a request has taken its part.
    pub(in crate::limits) fn checkpoint(&self) -> Checkpoint {
        let (full_at, corrections) = match self.fill {
            Counter::Bucket { full_at, corrections, .. } => (full_at, corrections),
            Counter::WindowState(_) | Counter::Concurrent { .. } => (0, 0),
        };
        Checkpoint { taken: self.taken, full_at, corrections }
    }

    /// Returns the size and the interval of a bucket.
    pub(in crate::limits) const fn as_bucket(&self) -> Option<(u64, f64)> {
        let Counter::Bucket { size, interval, .. } = self.fill else { return None };
        Some((size as u64, interval as f64))
    }

    fn renew(&mut self, now: Moment) {
        let Counter::WindowState(period) = &mut self.fill else { return };
        if now.as_unix_us() >= period.ends {
            period.ends = period.reset.end_after(now, self.window);
            self.recount(now);
        }
    }

    /// Forgets all counts, and lets warnings be emitted again. Places that are taken stay taken.
    pub(in crate::limits) fn recount(&mut self, now: Moment) {
        match &mut self.fill {
            Counter::Bucket { full_at, .. } => *full_at = 0,
            Counter::WindowState(period) => period.restart(now.as_unix_us()),
            Counter::Concurrent { .. } => {}
        }
        #[cfg(feature = "redis")]
        {
            let size = self.at_most(u64::MAX);
            self.allotment.as_mut().into_iter().for_each(|allotment| allotment.renew(size));
        }
        self.warned.forget();
    }
}

/// Returns the time in which an amount comes back, in microseconds, at most [`LATEST`]. Adding a half rounds
/// without `f64::round`, which is a library call on most machines.
fn us(interval: f32, amount: u64) -> u64 {
    ((f64::from(interval) * amount as f64 + 0.5) as u64).min(LATEST)
}
