//! The ledger: all known limits of one scope.
//!
//! A lock guards the gauges. It is held for a few dozen nanoseconds and never across an await. A request
//! takes its part of all gauges or of none. One atomic word for each gauge could not guarantee that without
//! giving back amounts that other requests have seen missing meanwhile. The same holds for several ledgers,
//! so a request that needs more than one holds the [offers](Offer) of all of them before it takes any.

pub(in crate::limits) mod cadence;
pub(in crate::limits) mod checkpoint;
pub(in crate::limits) mod cost;
pub(in crate::limits) mod gauge;
mod gauges;
pub(in crate::limits) mod refused;
pub(in crate::limits) mod search;
#[cfg(feature = "redis")]
pub(in crate::limits) mod sharing;
pub(in crate::limits) mod status;
pub(in crate::limits) mod warnings;
pub(in crate::limits) mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Moment;
use crate::limits::declared::quota::Quota;
use crate::limits::learned::learn::{Observed, learn};
use crate::limits::ledger::checkpoint::Checkpoints;
use crate::limits::ledger::cost::Cost;
use crate::limits::ledger::gauge::shared::{self, GaugeName, OthersTook, SharedState};
use crate::limits::ledger::gauge::shown::{alarms, headroom, is_untouched, read};
use crate::limits::ledger::gauge::{AFTER_ANOTHER, Gauge, NEVER};
use crate::limits::ledger::gauges::{Gauges, least_part_of};
use crate::limits::ledger::refused::Refused;
use crate::limits::ledger::search::{Pacing, ROUNDED, Refusal};
use crate::limits::ledger::status::{Alarm, LimitStatus, Metric};
use crate::limits::{Estimate, Zone};

/// The known limits of one scope.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Gauges>);

/// A ledger that has room for a request. It stays locked until the room is taken or the offer is dropped.
///
/// To avoid deadlocks, several offers are acquired in the order of the scopes: key, account, key for the
/// model, account for the model.
#[must_use = "locks the ledger"]
pub(crate) struct Offer<'a> {
    gauges: MutexGuard<'a, Gauges>,
    /// One bit for each learned gauge that lets the request in just in time.
    close: u8,
}

/// The time at which something becomes usable: one limit for a request, all limits of a scope, or a key at all its
/// scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// At this time, in microseconds since the Unix epoch. Zero or a time in the past means now.
    At(u64),
    /// When another request has ended: a probe succeeds, or the last place is free again.
    AfterAnother,
    /// Not by itself: only an operator, or a larger limit, changes it.
    Never,
}

// === impl Ledger ===

impl Ledger {
    /// Creates a ledger with the gauges of declared limits; `None` without any. `midnight` is the time zone
    /// of the provider's daily limits.
    pub(crate) fn declared<'a>(
        quotas: impl IntoIterator<Item = &'a Quota>,
        midnight: &Arc<Zone>,
    ) -> Option<Self> {
        Gauges::declare(quotas, midnight).map(|gauges| Self(Mutex::new(gauges)))
    }

    /// Locks the ledger and offers the cost of a request, if all gauges have room for it.
    pub(crate) fn offer(&self, cost: &Cost, now: Moment) -> Option<Offer<'_>> {
        let mut gauges = self.lock();
        let close = gauges.let_in(cost, now)?;
        Some(Offer { gauges, close })
    }

    /// Counts a request in flight that was admitted by another ledger. Only declared limits count it: what
    /// responses report includes it already.
    pub(crate) fn join(&self, cost: &Cost, taken_at: Moment) {
        let gauges = &mut *self.lock();
        for gauge in gauges.declared() {
            gauge.take(gauge.part_of(cost), taken_at);
        }
    }

    /// Stops counting a request in flight that another ledger counts from now on.
    pub(crate) fn part(&self, cost: &Cost, taken_at: Moment) {
        let gauges = &mut *self.lock();
        for gauge in gauges.declared() {
            gauge.give_back(gauge.part_of(cost), taken_at);
        }
    }

    /// Returns the time at which a request of this cost can be let in.
    pub(crate) fn availability(&self, cost: &Cost, now: Moment) -> Availability {
        match self.lock().available_at(cost, now) {
            NEVER => Availability::Never,
            AFTER_ANOTHER => Availability::AfterAnother,
            at => Availability::At(at),
        }
    }

    /// Gives back the cost of a request that was never sent.
    pub(crate) fn give_back(&self, cost: &Cost, taken_at: Moment) {
        for gauge in &mut *self.lock().all {
            gauge.give_back(gauge.part_of(cost), taken_at);
        }
    }

    /// Replaces the estimate of a request by the provider's count. Returns whether that changes anything, and
    /// passes an alarm to `tell` for each threshold that it crosses. Only declared limits need the
    /// correction: headers include the count.
    pub(crate) fn correct(
        &self,
        (thought, counted): (Estimate, Estimate),
        (taken_at, now): (Moment, Moment),
        shares: &[f64],
        mut tell: impl FnMut(Alarm),
    ) -> bool {
        let gauges = &mut *self.lock();
        let mut changes = false;
        for gauge in gauges.declared() {
            let Metric::Of(dimension) = gauge.metric else { continue };
            let (before, after) = (gauge.at_most(thought.of(dimension)), counted.of(dimension));
            if after > before {
                gauge.take(after - before, now);
            } else if before > after {
                gauge.give_back(before - after, taken_at);
            }
            alarms(gauge, shares, now).for_each(&mut tell);
            changes |= after != before;
        }
        changes
    }

    /// Ends a request. Returns whether that frees a place in a concurrency limit.
    pub(crate) fn leave(&self, taken_at: Moment) -> bool {
        let gauges = &mut *self.lock();
        let mut places = gauges.all.iter_mut().filter(|gauge| gauge.metric == Metric::Concurrent).peekable();
        let frees = places.peek().is_some();
        places.for_each(|gauge| gauge.give_back(1, taken_at));
        frees
    }

    /// Takes over the limits that a response reports. Passes an alarm to `tell` for each threshold that is
    /// crossed by now, and returns whether a request of the minimum cost can be let in. `checkpoints` are those of
    /// its request, if the ledger existed then.
    pub(crate) fn observe(
        &self,
        checkpoints: Option<&Checkpoints>,
        observed: &Observed<'_>,
        shares: &[f64],
        mut tell: impl FnMut(Alarm),
    ) -> bool {
        let gauges = &mut *self.lock();
        let checkpoints = checkpoints.filter(|checkpoints| checkpoints.are_of(gauges.generation));
        let declared = gauges.declared as usize;
        learn(&mut gauges.all, declared, checkpoints, observed);
        for gauge in &mut gauges.all[declared..] {
            alarms(gauge, shares, observed.answered).for_each(&mut tell);
        }
        gauges.available_at(&Cost::LEAST, observed.answered) <= observed.answered.as_unix_us()
    }

    /// Records that a request was refused for arriving too fast, and returns the wait that follows. Unless a
    /// known limit explains the refusal, the ledger spaces requests from now on.
    pub(crate) fn refused(&self, refused: &Refused<'_>) -> Pacing {
        let gauges = &mut *self.lock();
        let (cost, sent, stated) = (refused.cost, refused.sent, refused.stated);
        let explains = |gauge: &mut Gauge| {
            !gauge.is_spacing && gauge.available_at(least_part_of(gauge, cost), sent) > sent.as_unix_us()
        };
        if gauges.all.iter_mut().any(explains) {
            return match stated {
                Some(stated) if stated < ROUNDED => Pacing::Paced(stated),
                Some(_) => Pacing::Stated,
                None => Pacing::Unknown,
            };
        }
        let checkpoints = refused.checkpoints.filter(|checkpoints| checkpoints.are_of(gauges.generation));
        let Some((index, gauge, search)) = gauges.spacing(true) else {
            return stated.map_or(Pacing::Unknown, |_| Pacing::Stated);
        };
        let in_time = checkpoints.is_some_and(|checkpoints| checkpoints.is_close(index));
        let Refused { sent, answered, key, .. } = *refused;
        search.refused(gauge, &Refusal { sent, answered, stated, in_time, key })
    }

    /// Records that a request was served that was sent at `sent`, by a response at `answered`.
    pub(crate) fn served(&self, checkpoints: &Checkpoints, sent: Moment, answered: Moment) {
        let gauges = &mut *self.lock();
        let checkpoints = Some(checkpoints).filter(|checkpoints| checkpoints.are_of(gauges.generation));
        if let Some((index, gauge, search)) = gauges.spacing(false) {
            search.served(
                gauge,
                checkpoints.is_some_and(|checkpoints| checkpoints.is_close(index)),
                sent,
                answered,
            );
        }
    }

    /// Returns the time at which one request may try before a stated wait is over, in microseconds since the
    /// Unix epoch; `None` if none may.
    pub(crate) fn early_attempt(&self, cost: &Cost, now: Moment) -> Option<u64> {
        let gauges = &mut *self.lock();
        gauges.search.as_ref().filter(|search| search.may_try())?;
        Some(gauges.available_at(cost, now)).filter(|at| *at < AFTER_ANOTHER)
    }

    /// Returns whether the declared limits have counted nothing, so that they equal new ones.
    pub(crate) fn is_untouched(&self, now: Moment) -> bool {
        self.lock().declared().iter_mut().all(|gauge| is_untouched(gauge, now))
    }

    /// Returns the fraction that is left of the tightest limit.
    pub(crate) fn headroom(&self, now: Moment) -> f64 {
        self.lock().limits().map(|gauge| headroom(gauge, now)).fold(1.0, f64::min)
    }

    /// Returns the status of all known limits.
    pub(crate) fn statuses(&self, now: Moment) -> Vec<LimitStatus> {
        self.lock().limits().map(|gauge| read(gauge, now)).collect()
    }

    /// Returns the counts of declared limits, and the learned limits, for other processes.
    pub(crate) fn shared(&self, now: Moment) -> SharedState {
        shared::read(&mut self.lock(), now)
    }

    /// Counts what other processes have taken of a declared limit. Returns whether that changes anything.
    pub(crate) fn others_took(&self, name: &GaugeName, took: OthersTook, now: Moment) -> bool {
        shared::add_others(&mut self.lock(), name, took, now)
    }

    /// Forgets the counts of declared limits. Requests in flight keep their places.
    pub(crate) fn recount(&self, now: Moment) {
        self.lock().declared().iter_mut().for_each(|gauge| gauge.recount(now));
    }

    /// Replaces all limits and counts by those of another ledger, whose requests are none of this one.
    pub(crate) fn replace(&self, other: Self) {
        let generation = self.lock().generation.wrapping_add(1);
        let gauges = other.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.lock() = Gauges { generation, ..gauges };
    }

    /// Forgets all learned limits.
    pub(crate) fn forget(&self) {
        let gauges = &mut *self.lock();
        let declared = gauges.declared as usize;
        let mut all = std::mem::take(&mut gauges.all).into_vec();
        all.truncate(declared);
        gauges.all = all.into();
        gauges.search = None;
        gauges.generation = gauges.generation.wrapping_add(1);
    }

    #[cfg(feature = "redis")]
    pub(in crate::limits) fn with_declared<T>(&self, look: impl FnOnce(&mut [Gauge]) -> T) -> T {
        look(self.lock().declared())
    }

    /// Locks the gauges, and recovers from a poisoned lock. No code panics while it holds the lock, since
    /// arithmetic on values from headers saturates. Even after a panic, the gauges are in place, because only
    /// a push moves them out, and slightly wrong counts are better than none.
    fn lock(&self) -> MutexGuard<'_, Gauges> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Offer ===

impl Offer<'_> {
    /// Takes the cost of the request from all gauges. Passes an alarm to `tell` for each threshold of a
    /// declared limit that this crosses, in ascending order. For learned limits the response does that.
    pub(crate) fn take(
        mut self,
        cost: &Cost,
        shares: &[f64],
        now: Moment,
        mut tell: impl FnMut(Alarm),
    ) -> Checkpoints {
        let gauges = &mut *self.gauges;
        gauges.all.iter_mut().for_each(|gauge| gauge.take(gauge.part_of(cost), now));
        for gauge in gauges.declared() {
            alarms(gauge, shares, now).for_each(&mut tell);
        }
        let learned = &gauges.all[gauges.declared as usize..];
        let checkpoints =
            Checkpoints::new(gauges.generation, self.close, learned.iter().map(Gauge::checkpoint));
        checkpoints.in_search(gauges.search.is_some())
    }
}
