//! The ledger: all known limits of one scope.
//!
//! A lock guards the gauges. It is held for a few dozen nanoseconds and never across an await. A request
//! takes its part of all gauges or of none. One atomic word for each gauge could not guarantee that without
//! giving back amounts that other requests have seen missing meanwhile. The same holds for several ledgers,
//! so a request that needs more than one holds the [offers](Offer) of all of them before it takes any.

pub(in crate::limits) mod cost;
pub(in crate::limits) mod gauge;
pub(in crate::limits) mod mark;
pub(in crate::limits) mod status;
pub(in crate::limits) mod warnings;
pub(in crate::limits) mod window;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::limits::declared::quota::{Quota, Renewal};
use crate::limits::learned::learn::{Observed, learn, push};
use crate::limits::ledger::cost::Need;
use crate::limits::ledger::gauge::{AFTER_ANOTHER, Gauge, NEVER};
use crate::limits::ledger::mark::{MAX_LEARNED, Marks};
use crate::limits::ledger::status::{Alarm, Counted, Reading};
use crate::limits::ledger::window::Anew;
use crate::limits::{Estimate, Zone};

/// The known limits of one scope.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Gauges>);

/// The gauges of a ledger. There may be a ledger for each key and model, so the struct is kept small.
#[derive(Debug, Default)]
struct Gauges {
    /// The gauges: first the declared ones, which stay; then the learned ones, at most [`MAX_LEARNED`].
    all: Box<[Gauge]>,
    /// Number of declared gauges at the start of `all`.
    declared: u32,
    /// Incremented whenever the learned gauges are forgotten; wraps. Marks of another generation belong to
    /// other gauges.
    generation: u8,
}

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

/// The time at which a request can be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// At this time, in microseconds since the Unix epoch. Zero or a time in the past means now.
    At(u64),
    /// When another request has ended.
    AfterAnother,
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
        let all: Box<[_]> = quotas.into_iter().map(|quota| gauge(quota, midnight)).collect();
        let declared = u32::try_from(all.len()).unwrap_or(u32::MAX);
        (!all.is_empty()).then(|| Self(Mutex::new(Gauges { all, declared, generation: 0 })))
    }

    /// Locks the ledger and offers the cost of a request, if all gauges have room for it.
    pub(crate) fn offer(&self, need: &Need, now: Moment) -> Option<Offer<'_>> {
        let mut gauges = self.lock();
        let close = gauges.let_in(need, now)?;
        Some(Offer { gauges, close })
    }

    /// Counts a request in flight that was admitted by another ledger. Only declared limits count it: what
    /// responses report includes it already.
    pub(crate) fn join(&self, need: &Need, taken_at: Moment) {
        let gauges = &mut *self.lock();
        for gauge in gauges.declared() {
            gauge.take(gauge.part_of(need), taken_at);
        }
    }

    /// Stops counting a request in flight that another ledger counts from now on.
    pub(crate) fn part(&self, need: &Need, taken_at: Moment) {
        let gauges = &mut *self.lock();
        for gauge in gauges.declared() {
            gauge.give_back(gauge.part_of(need), taken_at);
        }
    }

    /// Returns the time at which a request of this cost can be let in.
    pub(crate) fn opening(&self, need: &Need, now: Moment) -> Opening {
        match self.lock().available_at(need, now) {
            NEVER => Opening::Never,
            AFTER_ANOTHER => Opening::AfterAnother,
            at => Opening::At(at),
        }
    }

    /// Gives back the cost of a request that was never sent.
    pub(crate) fn give_back(&self, need: &Need, taken_at: Moment) {
        for gauge in &mut *self.lock().all {
            gauge.give_back(gauge.part_of(need), taken_at);
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
            let Counted::Of(dimension) = gauge.counted else { continue };
            let (before, after) = (gauge.at_most(thought.of(dimension)), counted.of(dimension));
            if after > before {
                gauge.take(after - before, now);
            } else if before > after {
                gauge.give_back(before - after, taken_at);
            }
            gauge.alarms(shares, now).for_each(&mut tell);
            changes |= after != before;
        }
        changes
    }

    /// Ends a request. Returns whether that frees a place in a concurrency limit.
    pub(crate) fn leave(&self, taken_at: Moment) -> bool {
        let gauges = &mut *self.lock();
        let mut places =
            gauges.all.iter_mut().filter(|gauge| gauge.counted == Counted::Concurrent).peekable();
        let frees = places.peek().is_some();
        places.for_each(|gauge| gauge.give_back(1, taken_at));
        frees
    }

    /// Takes over the limits that a response reports. Passes an alarm to `tell` for each threshold that is
    /// crossed by now, and returns whether a request of the minimum cost can be let in. `marks` are those of
    /// its request, if the ledger existed then.
    pub(crate) fn observe(
        &self,
        marks: Option<&Marks>,
        observed: &Observed<'_>,
        shares: &[f64],
        mut tell: impl FnMut(Alarm),
    ) -> bool {
        let gauges = &mut *self.lock();
        let marks = marks.filter(|marks| marks.are_of(gauges.generation));
        let declared = gauges.declared as usize;
        learn(&mut gauges.all, declared, marks, observed);
        for gauge in &mut gauges.all[declared..] {
            gauge.alarms(shares, observed.answered).for_each(&mut tell);
        }
        gauges.available_at(&Need::LEAST, observed.answered) <= observed.answered.as_unix_us()
    }

    /// Records that a request that began at `began` was refused for arriving too fast, with a short wait from
    /// `answered` on. Returns whether a known limit explains the refusal. If none does, the ledger spaces
    /// requests from now on.
    pub(crate) fn refused(
        &self,
        (need, marks): (&Need, Option<&Marks>),
        wait: Duration,
        (began, answered): (Moment, Moment),
    ) -> bool {
        let gauges = &mut *self.lock();
        let explains = |gauge: &mut Gauge| {
            !gauge.is_spacing && gauge.available_at(least_part_of(gauge, need), began) > began.as_unix_us()
        };
        if gauges.all.iter_mut().any(explains) {
            return true;
        }
        let (declared, generation) = (gauges.declared as usize, gauges.generation);
        let marks = marks.filter(|marks| marks.are_of(generation));
        let learned = &mut gauges.all[declared..];
        match learned.iter().position(|gauge| gauge.is_spacing) {
            Some(index) => {
                let mark = marks.filter(|marks| marks.is_close(index)).and_then(|marks| marks.get(index));
                learned[index].space_out(wait, mark, answered);
            }
            None if learned.len() < MAX_LEARNED => push(&mut gauges.all, Gauge::spacing(wait)),
            None => {}
        }
        false
    }

    /// Records that a request was served that the limits had let in just in time.
    pub(crate) fn served(&self, marks: &Marks) {
        let gauges = &mut *self.lock();
        let (declared, generation) = (gauges.declared as usize, gauges.generation);
        let learned = gauges.all[declared..].iter_mut().enumerate();
        if let Some((index, spacing)) = learned.into_iter().find(|(_, gauge)| gauge.is_spacing)
            && marks.are_of(generation)
            && marks.is_close(index)
        {
            spacing.draw_in();
        }
    }

    /// Returns whether the declared limits have counted nothing, so that they equal new ones.
    pub(crate) fn is_untouched(&self, now: Moment) -> bool {
        self.lock().declared().iter_mut().all(|gauge| gauge.is_untouched(now))
    }

    /// Returns the fraction that is left of the tightest limit.
    pub(crate) fn headroom(&self, now: Moment) -> f64 {
        self.lock().limits().map(|gauge| gauge.headroom(now)).fold(1.0, f64::min)
    }

    /// Returns the status of all known limits.
    pub(crate) fn readings(&self, now: Moment) -> Vec<Reading> {
        self.lock().limits().map(|gauge| gauge.read(now)).collect()
    }

    /// Forgets the counts of declared limits. Requests in flight keep their places.
    pub(crate) fn recount(&self, now: Moment) {
        self.lock().declared().iter_mut().for_each(|gauge| gauge.recount(now));
    }

    /// Forgets all learned limits.
    pub(crate) fn forget(&self) {
        let gauges = &mut *self.lock();
        let declared = gauges.declared as usize;
        let mut all = std::mem::take(&mut gauges.all).into_vec();
        all.truncate(declared);
        gauges.all = all.into();
        gauges.generation = gauges.generation.wrapping_add(1);
    }

    /// Locks the gauges, and recovers from a poisoned lock. No code panics while it holds the lock, since
    /// arithmetic on values from headers saturates. Even after a panic, the gauges are in place, because only
    /// a push moves them out, and slightly wrong counts are better than none.
    fn lock(&self) -> MutexGuard<'_, Gauges> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauge(quota: &Quota, midnight: &Arc<Zone>) -> Gauge {
    let Quota { counted, amount, window, renewal, burst, .. } = quota;
    let period = |anew| Gauge::period(*counted, *window, *amount, anew, crate::limits::Source::Declared);
    match (counted, renewal) {
        (Counted::Concurrent, _) => Gauge::places(*amount),
        // A bucket has a minimum size of one, so a limit of zero needs a window instead.
        (_, Renewal::Bucket) if *amount > 0 => Gauge::refilled(*counted, *amount, *window, *burst),
        (_, Renewal::Bucket | Renewal::Aligned) => period(Anew::Aligned),
        (_, Renewal::Midnight(Some(zone))) => period(Anew::Midnight(Arc::new(zone.clone()))),
        (_, Renewal::Midnight(None)) => period(Anew::Midnight(Arc::clone(midnight))),
    }
}

// === impl Offer ===

impl Offer<'_> {
    /// Takes the cost of the request from all gauges. Passes an alarm to `tell` for each threshold of a
    /// declared limit that this crosses, in ascending order. For learned limits the response does that.
    pub(crate) fn take(
        mut self,
        need: &Need,
        shares: &[f64],
        now: Moment,
        mut tell: impl FnMut(Alarm),
    ) -> Marks {
        let gauges = &mut *self.gauges;
        gauges.all.iter_mut().for_each(|gauge| gauge.take(gauge.part_of(need), now));
        for gauge in gauges.declared() {
            gauge.alarms(shares, now).for_each(&mut tell);
        }
        let learned = &gauges.all[gauges.declared as usize..];
        Marks::new(gauges.generation, self.close, learned.iter().map(Gauge::mark))
    }
}

// === impl Gauges ===

impl Gauges {
    fn declared(&mut self) -> &mut [Gauge] {
        &mut self.all[..self.declared as usize]
    }

    /// Returns the gauges that stand for a known limit, so not the learned spacing.
    fn limits(&mut self) -> impl Iterator<Item = &mut Gauge> {
        self.all.iter_mut().filter(|gauge| !gauge.is_spacing)
    }

    fn available_at(&mut self, need: &Need, now: Moment) -> u64 {
        let at = |gauge: &mut Gauge| gauge.available_at(least_part_of(gauge, need), now);
        self.all.iter_mut().map(at).max().unwrap_or(0)
    }

    /// Returns one bit for each learned gauge that lets a request of this cost in just in time; `None` if any
    /// gauge has no room.
    fn let_in(&mut self, need: &Need, now: Moment) -> Option<u8> {
        let mut close = 0;
        for (index, gauge) in self.all.iter_mut().enumerate() {
            let at = gauge.available_at(least_part_of(gauge, need), now);
            if at > now.as_unix_us() {
                return None;
            }
            // A request that any safety margin would let in teaches nothing about the margin.
            let is_close = gauge.part_of(need) > 0 && gauge.is_close(at, now);
            if let Some(learned) = index.checked_sub(self.declared as usize) {
                close |= u8::from(is_close) << learned;
            }
        }
        Some(close)
    }
}

/// Returns the cost of a request to a gauge, at least the minimum cost: a request never needs less than the
/// minimum.
fn least_part_of(gauge: &Gauge, need: &Need) -> u64 {
    gauge.part_of(need).max(gauge.part_of(&Need::LEAST))
}
