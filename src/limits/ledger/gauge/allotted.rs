//! The allotment of a gauge: what this instance may take of a limit that several share.

use std::sync::Arc;

use crate::clock::{Moment, Timestamp, WallOffset};
use crate::limits::ledger::gauge::shared::{GaugeName, names};
use crate::limits::ledger::gauge::{Counter, Gauge};
use crate::limits::ledger::sharing::allotment::Allotment;
use crate::limits::ledger::sharing::demand::{Demand, Grant, LimitShape, Others};
use crate::limits::ledger::sharing::link::Sharing;
use crate::limits::ledger::window::{US_PER_MS, US_PER_S};

/// The demand for one limit of a ledger.
#[derive(Clone, Debug)]
pub(crate) struct GaugeDemand {
    pub(crate) name: GaugeName,
    pub(crate) limit: LimitShape,
    /// The window in which it is.
    pub(crate) window: WindowName,
    /// The end of the window; `None` for a bucket.
    pub(crate) ends: Option<Timestamp>,
    /// The amount that is missing from the bucket.
    pub(crate) missing: u64,
    pub(crate) demand: Demand,
}

/// The name of a window, equal in all instances: its regular end by the wall clock, in seconds since the Unix epoch;
/// zero for a bucket.
///
/// A process whose wall clock was set keeps its windows, which end earlier or later than those of others from then on.
/// So the regular end is the nearest one, up to half a window away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WindowName(pub(crate) u64);

/// Shortest window of a limit that is shared, in seconds. The news of a shorter one would come too late.
const SHORTEST_S: u32 = 2;

/// Time before the end of a window at which the next one is demanded: 3 s, but at most a quarter of the window.
const AHEAD_US: u64 = 3 * US_PER_S;

/// Shares the limits of a ledger. With `is_new`, they begin with an equal part, less what was spent before.
pub(in crate::limits) fn share(gauges: &mut [Gauge], sharing: &Arc<Sharing>, is_new: bool, now: Moment) {
    for gauge in gauges.iter_mut().filter(|gauge| gauge.window >= SHORTEST_S) {
        gauge.renew(now);
        if let Some(known) = &mut gauge.allotment {
            known.share_by(sharing);
            continue;
        }
        let (size, spent) = match &gauge.fill {
            Counter::Concurrent { .. } => continue,
            Counter::WindowState(period) => (period.size, period.used.saturating_sub(period.others)),
            Counter::Bucket { size, .. } => (u64::from(*size), 0),
        };
        let allotment = match is_new {
            true => Allotment::first(sharing, size, spent),
            false => Allotment::new(sharing, spent),
        };
        gauge.allotment = Some(Box::new(allotment));
    }
}

/// Shares no limit any more.
pub(in crate::limits) fn unshare(gauges: &mut [Gauge]) {
    gauges.iter_mut().filter_map(|gauge| gauge.allotment.as_mut()).for_each(|allotment| allotment.suspend());
}

/// Returns the names of the limits of a ledger, and those of their windows.
pub(in crate::limits) fn windows(
    gauges: &mut [Gauge],
    clock: WallOffset,
    now: Moment,
) -> Vec<(GaugeName, WindowName)> {
    let window = |gauge: &mut Gauge| {
        gauge.renew(now);
        gauge.ends().map_or_else(WindowName::default, |ends| window_name(gauge, ends, clock))
    };
    let windows: Vec<_> = gauges.iter_mut().map(window).collect();
    names(gauges).zip(windows).collect()
}

/// Returns the demands for the limits of a ledger. `others` returns the state of the other instances at the limit with
/// this index.
pub(in crate::limits) fn demands(
    gauges: &mut [Gauge],
    others: impl Fn(usize) -> Others,
    clock: WallOffset,
    now: Moment,
) -> Vec<GaugeDemand> {
    let mut demands = Vec::new();
    for index in 0..gauges.len() {
        let gauge = &mut gauges[index];
        gauge.renew(now);
        let (limit, missing, ends) = (gauge.shape(), gauge.missing(now), gauge.ends());
        let Some(allotment) = &mut gauge.allotment else { continue };
        let ahead = AHEAD_US.min(u64::from(gauge.window) * US_PER_S / 4);
        let is_last = ends.is_some_and(|ends| ends.saturating_sub(ahead) <= now.as_unix_us());
        let demand = allotment.demand(limit, others(index), now);
        let next = if is_last { allotment.demand_next(limit) } else { None };
        for demand in demand.into_iter().chain(next) {
            let ends = ends.map(|ends| if demand.is_next { gauges[index].end_after(ends) } else { ends });
            let window = ends.map_or_else(WindowName::default, |it| window_name(&gauges[index], it, clock));
            let Some(name) = names(gauges).nth(index) else { continue };
            let ends = ends.map(|us| Timestamp::from(Moment::from_unix_us(us)));
            demands.push(GaugeDemand { name, limit, window, ends, missing, demand });
        }
    }
    demands
}

/// Takes over a grant. Returns whether there is more room than before.
pub(in crate::limits) fn grant(
    gauges: &mut [Gauge],
    (name, demand): (&GaugeName, &Demand),
    grant: Grant,
    now: Moment,
) -> bool {
    let index = names(gauges).position(|known| known == *name);
    let Some(gauge) = index.and_then(|index| gauges.get_mut(index)) else { return false };
    gauge.renew(now);
    gauge.allotment.as_mut().is_some_and(|allotment| allotment.grant(demand, grant, now))
}

/// Goes on without the store. Returns whether there is more room than before.
pub(in crate::limits) fn go_alone(gauges: &mut [Gauge], now: Moment) -> bool {
    let mut has_more = false;
    for gauge in gauges {
        gauge.renew(now);
        let limit = gauge.shape();
        has_more |= gauge.allotment.as_mut().is_some_and(|allotment| allotment.go_alone(limit, now));
    }
    has_more
}

/// Returns the time at which an amount can be taken of an allotment, in microseconds since the Unix epoch; zero for
/// now. An amount that is refused is demanded at once.
pub(super) fn available_at(gauge: &mut Gauge, amount: u64, now: Moment) -> u64 {
    let (limit, ends) = (gauge.shape(), gauge.ends());
    match &mut gauge.allotment {
        Some(allotment) if !allotment.has_room_for(amount, now) => allotment.refuse(amount, limit, ends, now),
        _ => 0,
    }
}

fn window_name(gauge: &Gauge, ends: u64, clock: WallOffset) -> WindowName {
    let wall = Moment::from(Timestamp::from_unix_ms(clock.to_wall(ends / US_PER_MS))).as_unix_us();
    let half = u64::from(gauge.window) * US_PER_S / 2;
    WindowName(gauge.end_after(wall.saturating_sub(half)) / US_PER_S)
}

// === impl Gauge ===

impl Gauge {
    fn shape(&self) -> LimitShape {
        match &self.fill {
            Counter::Bucket { size, interval, .. } => {
                LimitShape { size: (*size).into(), interval: (*interval).into() }
            }
            Counter::WindowState(period) => LimitShape { size: period.size, interval: 0.0 },
            Counter::Concurrent { size, .. } => LimitShape { size: (*size).into(), interval: 0.0 },
        }
    }

    /// Returns the amount that is missing from a bucket; zero for other limits.
    fn missing(&self, now: Moment) -> u64 {
        let Counter::Bucket { interval, full_at, .. } = &self.fill else { return 0 };
        let missing = full_at.saturating_sub(now.as_unix_us()) as f64 / f64::from(*interval).max(1.0);
        missing.ceil() as u64
    }

    /// Returns the end of the window; `None` for limits without one.
    fn ends(&self) -> Option<u64> {
        let Counter::WindowState(period) = &self.fill else { return None };
        Some(period.ends)
    }

    /// Returns the first regular end of a window after a time, in microseconds since the Unix epoch.
    fn end_after(&self, time: u64) -> u64 {
        let Counter::WindowState(period) = &self.fill else { return 0 };
        period.reset.end_after(Moment::from_unix_us(time), self.window)
    }
}
