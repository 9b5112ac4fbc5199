//! One dimension over one window.
//!
//! A bucket is one number: when it will be *full* if nothing more is taken. How much is in it follows from
//! that and from the rate; taking moves the time on, giving back moves it back, and a header whose reset means
//! *full* says the number itself. So there is no refill to run, and no level that is out of date.

mod shown;
mod spacing;

use super::distance::Distance;
use super::heard::Heard;
use super::marks::Mark;
use super::need::Need;
use super::period::{Anew, Period, us_of};
use super::reading::{Counted, Source};
use super::told::Told;
use crate::clock::Moment;
use crate::provider::Window;

/// One dimension over one window.
#[derive(Debug)]
pub(super) struct Gauge {
    fill: Fill,
    /// In seconds; zero: none.
    window: u32,
    /// Units ever taken; wraps. Tells how much was taken since a request that a header speaks of.
    pub(super) taken: u32,
    pub(super) heard: Heard,
    /// Learns of requests that were let in only [just](Self::is_close).
    pub(super) distance: Distance,
    told: Told,
    pub(super) counted: Counted,
    pub(super) source: Source,
    /// It spaces requests, as refusals say that nothing else explains.
    pub(super) is_spacing: bool,
}

#[derive(Debug)]
enum Fill {
    /// Refills evenly.
    Bucket {
        /// Not zero.
        size: u32,
        /// Microseconds in which one unit comes back: exact enough for a day to be right to a few milliseconds.
        interval: f32,
        /// When it is full, in microseconds since the Unix epoch; past: it is.
        full_at: u64,
        /// How far headers have moved that time, in units of [`CORRECTION_US`]; wraps.
        corrections: u32,
    },
    Period(Box<Period>),
    /// Taken and given back.
    Places {
        size: u32,
        used: u32,
    },
}

/// Nothing brings it.
pub(super) const NEVER: u64 = u64::MAX;

/// The end of a request that is under way brings it.
pub(super) const AFTER_ANOTHER: u64 = NEVER - 1;

/// Fine enough for a pace, and two billions of them for a day.
pub(super) const CORRECTION_US: i64 = 64;

/// No bucket is thought to be full later, and none takes longer to refill: some thirty thousand years. So sums and
/// differences of a few such times fit into an `i64`, whatever headers say.
const LATEST: u64 = 1 << 60;

// === impl Gauge ===

impl Gauge {
    /// Full, or as full as `full_at` says.
    pub(super) fn bucket(counted: Counted, window: Window, size: u64, interval: f64, source: Source) -> Self {
        let (size, interval) = (narrow(size).max(1), interval as f32);
        let fill = Fill::Bucket { size, interval, full_at: 0, corrections: 0 };
        Self::new(fill, counted, window, source)
    }

    /// A bucket that a window's amount refills.
    pub(super) fn refilled(counted: Counted, amount: u64, window: Window, burst: Option<u64>) -> Self {
        let interval = us_of(window) / amount.max(1) as f64;
        Self::bucket(counted, window, burst.unwrap_or(amount), interval, Source::Declared)
    }

    /// Nothing used yet, and not yet begun.
    pub(super) fn period(counted: Counted, window: Window, size: u64, anew: Anew, source: Source) -> Self {
        let period = Period { size, used: 0, began: 0, ends: 0, anew };
        Self::new(Fill::Period(Box::new(period)), counted, window, source)
    }

    pub(super) fn places(size: u64) -> Self {
        let fill = Fill::Places { size: narrow(size), used: 0 };
        Self::new(fill, Counted::Concurrent, Window::from_secs(0), Source::Declared)
    }

    fn new(fill: Fill, counted: Counted, window: Window, source: Source) -> Self {
        let window = narrow(window.length().as_secs());
        Self {
            fill,
            window,
            taken: 0,
            heard: Heard::default(),
            distance: Distance::default(),
            told: Told::default(),
            counted,
            source,
            is_spacing: false,
        }
    }

    pub(super) fn window(&self) -> Option<Window> {
        (self.window > 0).then(|| Window::from_secs(self.window.into()))
    }

    /// What a request is thought to take. More than fits is taken for what fits: it is let in when nothing is
    /// missing, and nobody waits longer for what it took than for a whole limit.
    pub(super) fn part_of(&self, need: &Need) -> u64 {
        self.at_most(need.of(self.counted))
    }

    pub(super) fn at_most(&self, amount: u64) -> u64 {
        let size = match &self.fill {
            Fill::Bucket { size, .. } | Fill::Places { size, .. } => u64::from(*size),
            Fill::Period(period) => period.size,
        };
        amount.min(size.max(1))
    }

    /// When so much can be taken; not later than `now` if it can be now. [`AFTER_ANOTHER`] or [`NEVER`] if no
    /// time brings it.
    pub(super) fn available_at(&mut self, amount: u64, now: Moment) -> u64 {
        self.renew(now);
        match &self.fill {
            _ if amount == 0 => 0,
            Fill::Bucket { size, interval, full_at, .. } => {
                let spare = u64::from(*size).saturating_sub(amount);
                let at = full_at.saturating_sub(us(*interval, spare));
                at.saturating_add(self.distance.of((*interval).into()))
            }
            Fill::Period(period) if period.is_shut() => NEVER,
            Fill::Period(period) if period.has_room_for(amount) => 0,
            Fill::Period(period) => period.ends,
            Fill::Places { size: 0, .. } => NEVER,
            Fill::Places { size, used } if used < size => 0,
            Fill::Places { .. } => AFTER_ANOTHER,
        }
    }

    pub(super) fn take(&mut self, amount: u64, now: Moment) {
        self.renew(now);
        self.taken = self.taken.wrapping_add(narrow(amount));
        match &mut self.fill {
            Fill::Bucket { interval, full_at, .. } => {
                let after = (*full_at).max(now.as_unix_us()).saturating_add(us(*interval, amount));
                *full_at = after.min(LATEST);
            }
            Fill::Period(period) => period.used = period.used.saturating_add(amount),
            Fill::Places { used, .. } => *used = used.saturating_add(narrow(amount)),
        }
    }

    /// Gives back what was taken at `taken_at` and not used.
    pub(super) fn give_back(&mut self, amount: u64, taken_at: Moment) {
        self.taken = self.taken.wrapping_sub(narrow(amount));
        match &mut self.fill {
            Fill::Bucket { interval, full_at, .. } => {
                *full_at = full_at.saturating_sub(us(*interval, amount));
            }
            Fill::Period(period) if period.began <= taken_at.as_unix_us() => {
                period.used = period.used.saturating_sub(amount);
            }
            Fill::Period(_) => {}
            Fill::Places { used, .. } => *used = used.saturating_sub(narrow(amount)),
        }
    }

    /// Whether a larger distance might not let in now what is available from `at` on.
    pub(super) fn is_close(&self, at: u64, now: Moment) -> bool {
        let Fill::Bucket { interval, .. } = self.fill else { return false };
        at.saturating_add(Distance::FARTHEST.of(interval.into())) > now.as_unix_us()
    }

    /// What it shows when a request has just taken its part.
    pub(super) fn mark(&self) -> Mark {
        let (full_at, corrections) = match self.fill {
            Fill::Bucket { full_at, corrections, .. } => (full_at, corrections),
            Fill::Period(_) | Fill::Places { .. } => (0, 0),
        };
        Mark { taken: self.taken, full_at, corrections }
    }

    /// A bucket would be full at `told` if nothing had been taken since the request of the mark. How far this
    /// gauge was off then it is off now, but for what was corrected since; what was taken stays taken.
    ///
    /// But what a bucket was fuller than was thought may have run over since. Whoever took of it later found it
    /// empty up to one less than its size at most, and no more than that can be left: of a bucket of one, nothing.
    pub(super) fn is_full_at(&mut self, told: u64, mark: Option<Mark>) {
        let Fill::Bucket { size, interval, full_at, corrections } = &mut self.fill else { return };
        let (before, told) = (full_at.cast_signed(), told.min(LATEST).cast_signed());
        let since = |mark: Mark| i64::from(corrections.wrapping_sub(mark.corrections).cast_signed());
        let thought = mark.map_or(before, |mark| mark.full_at.cast_signed() + since(mark) * CORRECTION_US);
        let is_last = mark.is_none_or(|mark| mark.taken == self.taken);
        let kept = if is_last { i64::MAX } else { us(*interval, u64::from(*size) - 1).cast_signed() };
        let after = told.max(before + (told - thought).max(-kept));
        *full_at = after.cast_unsigned().min(LATEST);
        *corrections = corrections.wrapping_add(((after - before) / CORRECTION_US) as u32);
    }

    pub(super) fn set_bucket(&mut self, limit: u64, told: f64) {
        let told = told as f32;
        if let Fill::Bucket { size, interval, .. } = &mut self.fill {
            // What was learned of another pace is nothing to this one.
            if told < *interval / 2.0 {
                self.distance = Distance::default();
            }
            (*size, *interval) = (narrow(limit).max(1), told);
        }
    }

    pub(super) fn set_period(&mut self, limit: u64, used_now: u64, ends_at: u64, now: Moment) {
        if let Fill::Period(period) = &mut self.fill {
            // What is in flight across the turn belongs to the period that is told of.
            let began = if period.ends <= now.as_unix_us() { 0 } else { period.began };
            let Period { size, used, ends, .. } = &mut **period;
            // A limit of nothing has nothing left, either.
            (*size, *used, *ends) = (limit, used_now.max(u64::from(limit == 0)), ends_at);
            period.began = began;
        }
    }

    /// The size and the interval of a bucket.
    pub(super) const fn as_bucket(&self) -> Option<(u64, f64)> {
        let Fill::Bucket { size, interval, .. } = self.fill else { return None };
        Some((size as u64, interval as f64))
    }

    fn renew(&mut self, now: Moment) {
        let Fill::Period(period) = &mut self.fill else { return };
        if now.as_unix_us() >= period.ends {
            period.ends = period.anew.end_after(now, self.window);
            self.recount(now);
        }
    }

    /// Forgets what was counted. Places that are taken stay so.
    pub(super) fn recount(&mut self, now: Moment) {
        match &mut self.fill {
            Fill::Bucket { full_at, .. } => *full_at = 0,
            Fill::Period(period) => (period.began, period.used) = (now.as_unix_us(), 0),
            Fill::Places { .. } => {}
        }
        self.told.forget();
    }
}

/// The time in which so much comes back, at most [`LATEST`]. Rounded, and without `f64::round`, which is a call into
/// a library on most machines.
fn us(interval: f32, amount: u64) -> u64 {
    ((f64::from(interval) * amount as f64 + 0.5) as u64).min(LATEST)
}

/// Counts beyond four billion are as good as endless here.
fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
