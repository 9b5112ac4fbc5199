//! The allotment of a gauge: what this instance may take of a limit that several share.

use std::sync::Arc;

use crate::clock::{Moment, Timestamp};
use crate::limits::ledger::gauge::shared::{GaugeName, names};
use crate::limits::ledger::gauge::{Counter, Gauge};
use crate::limits::ledger::sharing::allotment::Allotment;
use crate::limits::ledger::sharing::demand::{Demand, Grant, LimitShape, Others};
use crate::limits::ledger::sharing::link::Sharing;
use crate::limits::ledger::window::US_PER_S;

/// The demand for one limit of a ledger.
#[derive(Clone, Debug)]
pub(crate) struct GaugeDemand {
    pub(crate) name: GaugeName,
    pub(crate) limit: LimitShape,
    /// The end of the window; `None` for a bucket.
    pub(crate) ends: Option<Timestamp>,
    /// The amount that is missing from the bucket.
    pub(crate) missing: u64,
    pub(crate) demand: Demand,
}

/// Shortest window of a limit that is shared, in seconds. The news of a shorter one would come too late.
const SHORTEST_S: u32 = 2;

/// Time before the end of a window at which the next one is demanded: 3 s, but at most a quarter of the window.
const AHEAD_US: u64 = 3 * US_PER_S;

/// Shares the limits of a ledger. With `is_new`, they are limits that this instance has not used so far.
pub(in crate::limits) fn share(gauges: &mut [Gauge], sharing: &Arc<Sharing>, is_new: bool, now: Moment) {
    for gauge in gauges.iter_mut().filter(|gauge| gauge.window >= SHORTEST_S) {
        gauge.renew(now);
        if let Some(known) = &mut gauge.allotment {
            known.share_by(sharing);
            continue;
        }
        let allotment = match &gauge.fill {
            Counter::Concurrent { .. } => continue,
            Counter::WindowState(period) if is_new => Allotment::first(sharing, period.size),
            Counter::Bucket { size, .. } if is_new => Allotment::first(sharing, (*size).into()),
            Counter::WindowState(period) => {
                Allotment::new(sharing, period.used.saturating_sub(period.others))
            }
            Counter::Bucket { .. } => Allotment::new(sharing, 0),
        };
        gauge.allotment = Some(Box::new(allotment));
    }
}

/// Shares no limit any more.
pub(in crate::limits) fn unshare(gauges: &mut [Gauge]) {
    gauges.iter_mut().filter_map(|gauge| gauge.allotment.as_mut()).for_each(|allotment| allotment.suspend());
}

/// Passes the demands for the limits of a ledger to `ask`.
pub(in crate::limits) fn demands(
    gauges: &mut [Gauge],
    others: impl Fn(&GaugeName, Option<Timestamp>) -> Others,
    now: Moment,
    mut ask: impl FnMut(GaugeDemand),
) {
    for index in 0..gauges.len() {
        gauges[index].renew(now);
        let (limit, ends, next, missing) = facts(&gauges[index], now);
        let is_last = ends.is_some_and(|ends| {
            let ahead = AHEAD_US.min(u64::from(gauges[index].window) * US_PER_S / 4);
            ends.saturating_sub(ahead) <= now.as_unix_us()
        });
        if gauges[index].allotment.is_none() {
            continue;
        }
        let Some(name) = names(gauges).nth(index) else { continue };
        let Some(allotment) = &mut gauges[index].allotment else { continue };
        let time = |us: u64| Timestamp::from(Moment::from_unix_us(us));
        let made =
            |demand, ends: Option<u64>| GaugeDemand { name, limit, ends: ends.map(time), missing, demand };
        let now_demanded = allotment.demand(limit, others(&name, ends.map(time)), now);
        now_demanded.map(|demand| made(demand, ends)).into_iter().for_each(&mut ask);
        if let Some(demand) = is_last.then(|| allotment.demand_next(limit)).flatten() {
            ask(made(demand, next));
        }
    }
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
        let (limit, ..) = facts(gauge, now);
        has_more |= gauge.allotment.as_mut().is_some_and(|allotment| allotment.go_alone(limit, now));
    }
    has_more
}

/// Returns the limit of a gauge, the ends of this window and the next, and the amount that is missing from a
/// bucket.
fn facts(gauge: &Gauge, now: Moment) -> (LimitShape, Option<u64>, Option<u64>, u64) {
    match &gauge.fill {
        Counter::Bucket { size, interval, full_at, .. } => {
            let interval = f64::from(*interval);
            let missing = full_at.saturating_sub(now.as_unix_us()) as f64 / interval.max(1.0);
            (LimitShape { size: (*size).into(), interval }, None, None, missing.ceil() as u64)
        }
        Counter::WindowState(period) => {
            let next = period.reset.end_after(Moment::from_unix_us(period.ends), gauge.window);
            (LimitShape { size: period.size, interval: 0.0 }, Some(period.ends), Some(next), 0)
        }
        Counter::Concurrent { size, .. } => {
            (LimitShape { size: (*size).into(), interval: 0.0 }, None, None, 0)
        }
    }
}
