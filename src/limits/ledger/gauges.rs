//! The gauges of a ledger.

use std::sync::Arc;

use crate::clock::Moment;
use crate::limits::Zone;
use crate::limits::declared::quota::{Quota, ResetRule};
use crate::limits::learned::learn::push;
use crate::limits::ledger::checkpoint::MAX_LEARNED;
use crate::limits::ledger::cost::Cost;
use crate::limits::ledger::gauge::Gauge;
use crate::limits::ledger::gauge::spacing::spacing;
use crate::limits::ledger::search::Search;
use crate::limits::ledger::status::{LimitSource, Metric};
use crate::limits::ledger::window::WindowReset;

/// The gauges of a ledger. There may be a ledger for each key and model, so the struct is kept small.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    /// The gauges: first the declared ones, which stay; then the learned ones, at most `MAX_LEARNED`.
    pub(super) all: Box<[Gauge]>,
    /// Number of declared gauges at the start of `all`.
    pub(super) declared: u32,
    /// Incremented whenever the learned gauges are forgotten; wraps. Marks of another generation belong to
    /// other gauges.
    pub(super) generation: u8,
    /// The search for the interval of the spacing, which is one of the learned gauges; `None` without one.
    pub(super) search: Option<Box<Search>>,
}

// === impl Gauges ===

impl Gauges {
    /// Creates the gauges of declared limits; `None` without any.
    pub(super) fn declare<'a>(
        quotas: impl IntoIterator<Item = &'a Quota>,
        midnight: &Arc<Zone>,
    ) -> Option<Self> {
        let all: Box<[_]> = quotas.into_iter().map(|quota| gauge(quota, midnight)).collect();
        let declared = u32::try_from(all.len()).unwrap_or(u32::MAX);
        (!all.is_empty()).then_some(Self { all, declared, ..Self::default() })
    }

    pub(super) fn declared(&mut self) -> &mut [Gauge] {
        &mut self.all[..self.declared as usize]
    }

    /// Returns the gauges that stand for a known limit, so not the learned spacing.
    pub(super) fn limits(&mut self) -> impl Iterator<Item = &mut Gauge> {
        self.all.iter_mut().filter(|gauge| !gauge.is_spacing)
    }

    /// Returns the spacing: its index among the learned gauges, the gauge, and its search. Creates it if
    /// wanted and there is room for it.
    pub(super) fn spacing(&mut self, create: bool) -> Option<(usize, &mut Gauge, &mut Search)> {
        let declared = self.declared as usize;
        if self.search.is_none() {
            if !create || self.all.len() - declared >= MAX_LEARNED {
                return None;
            }
            push(&mut self.all, spacing());
            self.search = Some(Box::default());
        }
        let search = self.search.as_deref_mut()?;
        let mut learned = self.all[declared..].iter_mut().enumerate();
        let (index, gauge) = learned.find(|(_, gauge)| gauge.is_spacing)?;
        Some((index, gauge, search))
    }

    pub(super) fn available_at(&mut self, cost: &Cost, now: Moment) -> u64 {
        let at = |gauge: &mut Gauge| gauge.available_at(least_part_of(gauge, cost), now);
        self.all.iter_mut().map(at).max().unwrap_or(0)
    }

    /// Returns one bit for each learned gauge that lets a request of this cost in just in time; `None` if any
    /// gauge has no room.
    pub(super) fn let_in(&mut self, cost: &Cost, now: Moment) -> Option<u8> {
        let mut close = 0;
        for (index, gauge) in self.all.iter_mut().enumerate() {
            let at = gauge.available_at(least_part_of(gauge, cost), now);
            if at > now.as_unix_us() {
                return None;
            }
            // A request that any safety margin would let in teaches nothing about the margin.
            let is_close = gauge.part_of(cost) > 0 && gauge.is_close(at, now);
            if let Some(learned) = index.checked_sub(self.declared as usize) {
                close |= u8::from(is_close) << learned;
            }
        }
        Some(close)
    }
}

/// Returns the cost of a request to a gauge, at least the minimum cost: a request never needs less than the
/// minimum.
pub(super) fn least_part_of(gauge: &Gauge, cost: &Cost) -> u64 {
    gauge.part_of(cost).max(gauge.part_of(&Cost::LEAST))
}

fn gauge(quota: &Quota, midnight: &Arc<Zone>) -> Gauge {
    let Quota { metric, amount, window, reset_rule, burst, .. } = quota;
    let period = |reset| Gauge::period(*metric, *window, *amount, reset, LimitSource::Declared);
    match (metric, reset_rule) {
        (Metric::Concurrent, _) => Gauge::places(*amount),
        // A bucket has a minimum size of one, so a limit of zero needs a window instead.
        (_, ResetRule::Bucket) if *amount > 0 => Gauge::refilled(*metric, *amount, *window, *burst),
        (_, ResetRule::Bucket | ResetRule::Aligned) => period(WindowReset::Aligned),
        (_, ResetRule::Midnight(Some(zone))) => period(WindowReset::Midnight(Arc::new(zone.clone()))),
        (_, ResetRule::Midnight(None)) => period(WindowReset::Midnight(Arc::clone(midnight))),
    }
}
