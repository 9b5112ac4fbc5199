//! The readings of a gauge, for reporting and for warnings.

use crate::clock::{Moment, Timestamp};
use crate::limits::ledger::gauge::{Counter, Gauge};
use crate::limits::ledger::status::{Alarm, LimitStatus};
use crate::limits::ledger::warnings::WarnedThresholds;

/// Returns whether nothing is taken.
pub(in crate::limits) fn is_untouched(gauge: &mut Gauge, now: Moment) -> bool {
    gauge.renew(now);
    match &gauge.fill {
        Counter::Bucket { full_at, .. } => *full_at <= now.as_unix_us(),
        Counter::WindowState(period) => period.used == 0,
        Counter::Concurrent { used, .. } => *used == 0,
    }
}

/// Returns the fraction that is left.
pub(in crate::limits) fn headroom(gauge: &mut Gauge, now: Moment) -> f64 {
    1.0 - read(gauge, now).used_share()
}

pub(in crate::limits) fn read(gauge: &mut Gauge, now: Moment) -> LimitStatus {
    gauge.renew(now);
    let (limit, remaining, full_at) = match &gauge.fill {
        Counter::Bucket { size, interval, full_at, .. } => {
            // One unit comes back in each interval until the bucket is full. A part of a unit is not left.
            let missing = full_at.saturating_sub(now.as_unix_us()) as f64 / f64::from(*interval);
            let left = u64::from(*size).saturating_sub(missing.ceil() as u64);
            (u64::from(*size), left, (missing > 0.0).then_some(*full_at))
        }
        Counter::WindowState(period) => {
            let left = period.size.saturating_sub(period.used);
            (period.size, left, (period.used > 0).then_some(period.ends))
        }
        Counter::Concurrent { size, used } => (u64::from(*size), u64::from(size.saturating_sub(*used)), None),
    };
    let full_at = full_at.map(|us| Timestamp::from(Moment::from_unix_us(us)));
    let Gauge { metric, source, .. } = *gauge;
    LimitStatus { metric, window: gauge.window(), source, limit, remaining, full_at }
}

/// Returns an alarm for each threshold that is crossed and was not yet reported in this window.
pub(in crate::limits) fn alarms<'a>(
    gauge: &mut Gauge,
    shares: &'a [f64],
    now: Moment,
) -> impl Iterator<Item = Alarm> + use<'a> {
    let news = WarnedThresholds::concerns(gauge.window).then(|| {
        let status = read(gauge, now);
        let news = gauge.warned.news(shares, status.used_share(), gauge.window, now);
        news.map(move |share| Alarm { share, status })
    });
    news.into_iter().flatten()
}
