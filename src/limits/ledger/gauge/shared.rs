//! The state of gauges that other processes share: own counts, the counts of others, learned limits.

use serde::{Deserialize, Serialize};

use crate::clock::{Moment, Timestamp};
use crate::limits::ledger::gauge::shown;
use crate::limits::ledger::gauge::shown::is_untouched;
use crate::limits::ledger::gauge::{Counter, Gauge};
use crate::limits::ledger::gauges::Gauges;
use crate::limits::ledger::status::{LimitStatus, Metric};

/// The name of a gauge within its ledger, which is the same in every process with the same limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct GaugeName {
    pub(crate) metric: Metric,
    /// The length of the window in seconds; zero for none.
    window_s: u32,
    /// Whether the limit resets at a fixed time. Otherwise it refills evenly.
    resets: bool,
    /// The number of gauges with the same metric and window before this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    nth: u8,
}

/// The count of a declared limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SharedCount {
    pub(crate) name: GaugeName,
    pub(crate) size: u64,
    /// The amount that this process has taken: within the window, or ever from the bucket, modulo 2³².
    pub(crate) own: u64,
    /// The amount of others that was added: within the window, or ever to the bucket, modulo 2³².
    pub(crate) others: u64,
    /// The end of the window; `None` for a bucket.
    pub(crate) ends: Option<Timestamp>,
    /// The time at which the bucket is full.
    pub(crate) full_at: Timestamp,
}

/// A limit that responses reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedLimit {
    pub(crate) name: GaugeName,
    /// The time at which the request was sent whose response reported it last. `None` if only a request did
    /// that was sent before the limit was known.
    pub(crate) at: Option<Timestamp>,
    pub(crate) status: LimitStatus,
}

/// The state of a ledger that other processes share.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedState {
    /// The counts of declared limits. Requests in flight are no count: their places are free again when their
    /// process ends.
    pub(crate) counts: Vec<SharedCount>,
    /// The limits that responses reported.
    pub(crate) learned: Vec<SharedLimit>,
}

/// A change of the amount that others have taken of a declared limit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OthersTook {
    /// This amount within the window.
    Within(u64),
    /// This much more of the bucket; less if it is negative.
    More(i32),
    /// So much of the bucket that it is full at this time.
    Until(Moment),
}

// === impl GaugeName ===

impl GaugeName {
    /// Returns the length of the window in seconds; `None` without a window.
    pub(crate) fn window_s(&self) -> Option<u64> {
        (self.window_s > 0).then(|| self.window_s.into())
    }

    /// Returns whether the limit resets at a fixed time.
    pub(crate) const fn resets(&self) -> bool {
        self.resets
    }
}

const fn is_zero(nth: &u8) -> bool {
    *nth == 0
}

/// Returns the shared state of a ledger.
pub(in crate::limits::ledger) fn read(gauges: &mut Gauges, now: Moment) -> SharedState {
    SharedState { counts: counts(gauges, now), learned: learned(gauges, now) }
}

fn counts(gauges: &mut Gauges, now: Moment) -> Vec<SharedCount> {
    let declared = gauges.declared();
    let names: Vec<_> = names(declared).collect();
    declared.iter_mut().zip(names).filter_map(|(gauge, name)| count(gauge, name, now)).collect()
}

/// Adds the amounts that others have taken. Returns whether there is such a gauge and the amount is a change.
pub(in crate::limits::ledger) fn add_others(
    gauges: &mut Gauges,
    name: &GaugeName,
    took: OthersTook,
    now: Moment,
) -> bool {
    let index = names(gauges.declared()).position(|known| known == *name);
    let Some(gauge) = index.and_then(|index| gauges.declared().get_mut(index)) else { return false };
    gauge.renew(now);
    match (&mut gauge.fill, took) {
        (Counter::WindowState(period), OthersTook::Within(amount)) => {
            let changes = period.others != amount;
            period.used = period.used.saturating_sub(period.others).saturating_add(amount);
            period.others = amount;
            changes
        }
        (Counter::Bucket { .. }, OthersTook::More(more)) => {
            let amount = more.unsigned_abs();
            if more > 0 {
                gauge.count(amount.into(), now);
            } else {
                gauge.uncount(amount.into(), now);
            }
            gauge.others = gauge.others.wrapping_add_signed(more);
            more != 0
        }
        (Counter::Bucket { full_at, .. }, OthersTook::Until(until)) if *full_at < until.as_unix_us() => {
            *full_at = until.as_unix_us();
            true
        }
        _ => false,
    }
}

fn learned(gauges: &mut Gauges, now: Moment) -> Vec<SharedLimit> {
    let learned = &mut gauges.all[gauges.declared as usize..];
    let names: Vec<_> = names(learned).collect();
    let learned = learned.iter_mut().zip(names).filter(|(gauge, _)| !gauge.is_spacing);
    let limits = learned.map(|(gauge, name)| {
        let at = gauge.latest.sent_before(now.as_unix_ms()).map(Timestamp::from_unix_ms);
        SharedLimit { name, at, status: shown::read(gauge, now) }
    });
    limits.collect()
}

pub(super) fn names(gauges: &[Gauge]) -> impl Iterator<Item = GaugeName> {
    let name = |gauge: &Gauge, nth| GaugeName {
        metric: gauge.metric,
        window_s: gauge.window,
        resets: matches!(gauge.fill, Counter::WindowState(_)),
        nth,
    };
    gauges.iter().enumerate().map(move |(index, gauge)| {
        let alike = gauges[..index].iter().filter(|other| name(other, 0) == name(gauge, 0));
        name(gauge, u8::try_from(alike.count()).unwrap_or(u8::MAX))
    })
}

fn count(gauge: &mut Gauge, name: GaugeName, now: Moment) -> Option<SharedCount> {
    let is_full = is_untouched(gauge, now);
    let time = |us| Timestamp::from(Moment::from_unix_us(us));
    let (size, own, others, ends, full_at) = match &gauge.fill {
        Counter::WindowState(period) => {
            let own = period.used.saturating_sub(period.others);
            (period.size, own, period.others, Some(time(period.ends)), time(period.ends))
        }
        Counter::Bucket { size, full_at, .. } => {
            let own = u64::from(gauge.taken.wrapping_sub(gauge.others));
            let full_at = if is_full { Timestamp::EPOCH } else { time(*full_at) };
            ((*size).into(), own, gauge.others.into(), None, full_at)
        }
        Counter::Concurrent { .. } => return None,
    };
    Some(SharedCount { name, size, own, others, ends, full_at })
}
