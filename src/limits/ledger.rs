//! What is known of the limits of one scope.
//!
//! The gauges are behind a lock that is held for a few dozen nanoseconds and never across an await: a request
//! takes of all of them or of none, which one atomic word for each could not promise without giving back what
//! others have seen missing meanwhile. The same is true of several ledgers, so whoever needs leave of more than
//! one holds on to the [offers](Offer) of all before it takes any.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::gauge::{AFTER_ANOTHER, Gauge, NEVER};
use super::learn::{Observed, learn, push};
use super::marks::Marks;
use super::need::Need;
use super::period::Anew;
use super::quota::{Quota, Renewal};
use super::reading::{Alarm, Counted, Reading};
use super::{Estimate, Zone};
use crate::clock::Moment;

/// What is known of the limits of one scope.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Gauges>);

/// There may be one for each key and model, so it has no room to spare.
#[derive(Debug, Default)]
struct Gauges {
    /// Declared ones first, which stay; then learned ones, at most [`MAX_LEARNED`].
    all: Box<[Gauge]>,
    /// At most as many as there are.
    declared: u32,
    /// Raised whenever the learned ones are forgotten; wraps. Marks from before are of other gauges.
    generation: u8,
}

/// As many as any provider tells of one model.
pub(super) const MAX_LEARNED: usize = 4;

/// A ledger that has what a request needs, and is locked until that is taken or given up.
///
/// Whoever holds several asked for them in the order of the scopes: key, account, and both for the model.
#[must_use = "locks the ledger"]
pub(crate) struct Offer<'a> {
    gauges: MutexGuard<'a, Gauges>,
    /// A bit for each learned gauge that lets the request in only just.
    close: u8,
}

/// When a request can be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// At this time, in microseconds since the Unix epoch; zero or past: now.
    At(u64),
    /// When another has ended.
    AfterAnother,
    Never,
}

// === impl Ledger ===

impl Ledger {
    /// With the gauges of declared limits; `midnight` is the provider's.
    pub(crate) fn declared<'a>(
        quotas: impl IntoIterator<Item = &'a Quota>,
        midnight: &Arc<Zone>,
    ) -> Option<Self> {
        let all: Box<[_]> = quotas.into_iter().map(|quota| gauge(quota, midnight)).collect();
        let declared = u32::try_from(all.len()).unwrap_or(u32::MAX);
        (!all.is_empty()).then(|| Self(Mutex::new(Gauges { all, declared, generation: 0 })))
    }

    /// Holds on to what a request needs, if no gauge has too little.
    pub(crate) fn offer(&self, need: &Need, now: Moment) -> Option<Offer<'_>> {
        let mut gauges = self.lock();
        let close = gauges.let_in(need, now)?;
        Some(Offer { gauges, close })
    }

    /// Counts a request that is under way, and was admitted elsewhere. What answers say counts it already.
    pub(crate) fn join(&self, need: &Need, taken_at: Moment) {
        let gauges = &mut *self.lock();
        for gauge in gauges.declared() {
            gauge.take(gauge.part_of(need), taken_at);
        }
    }

    /// Counts a request no more that is under way, and is counted elsewhere from now on.
    pub(crate) fn part(&self, need: &Need, taken_at: Moment) {
        let gauges = &mut *self.lock();
        for gauge in gauges.declared() {
            gauge.give_back(gauge.part_of(need), taken_at);
        }
    }

    /// When a request of this need can be let in.
    pub(crate) fn opening(&self, need: &Need, now: Moment) -> Opening {
        match self.lock().available_at(need, now) {
            NEVER => Opening::Never,
            AFTER_ANOTHER => Opening::AfterAnother,
            at => Opening::At(at),
        }
    }

    /// The request was never sent.
    pub(crate) fn give_back(&self, need: &Need, taken_at: Moment) {
        for gauge in &mut *self.lock().all {
            gauge.give_back(gauge.part_of(need), taken_at);
        }
    }

    /// The request took other tokens than was thought; says whether that changes anything, and which of the
    /// shares it uses up. What headers say needs no correction.
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

    /// A request is over; says whether that frees a place.
    pub(crate) fn leave(&self, taken_at: Moment) -> bool {
        let gauges = &mut *self.lock();
        let mut places =
            gauges.all.iter_mut().filter(|gauge| gauge.counted == Counted::Concurrent).peekable();
        let frees = places.peek().is_some();
        places.for_each(|gauge| gauge.give_back(1, taken_at));
        frees
    }

    /// Takes over what an answer says, and says which of the shares are used up by now, and whether the least can
    /// be let in; `marks` are those of its request, if the ledger was there then.
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

    /// A request that began then was refused for coming too fast, with a short wait from `answered` on. Says whether
    /// any limit explains that; if none does, requests are spaced from now on.
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

    /// A request was served that limits let in only just.
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

    /// Whether nothing is counted of the declared limits: they are as they were made.
    pub(crate) fn is_untouched(&self, now: Moment) -> bool {
        self.lock().declared().iter_mut().all(|gauge| gauge.is_untouched(now))
    }

    /// The share that is left of the tightest limit.
    pub(crate) fn headroom(&self, now: Moment) -> f64 {
        self.lock().limits().map(|gauge| gauge.headroom(now)).fold(1.0, f64::min)
    }

    /// What the gauges show.
    pub(crate) fn readings(&self, now: Moment) -> Vec<Reading> {
        self.lock().limits().map(|gauge| gauge.read(now)).collect()
    }

    /// Forgets what was counted against declared limits; requests under way keep their places.
    pub(crate) fn recount(&self, now: Moment) {
        self.lock().declared().iter_mut().for_each(|gauge| gauge.recount(now));
    }

    /// Forgets what was learned.
    pub(crate) fn forget(&self) {
        let gauges = &mut *self.lock();
        let declared = gauges.declared as usize;
        let mut all = std::mem::take(&mut gauges.all).into_vec();
        all.truncate(declared);
        gauges.all = all.into();
        gauges.generation = gauges.generation.wrapping_add(1);
    }

    /// Nothing panics while it holds the lock: arithmetic on what headers say saturates. If something did, the
    /// gauges would still be in their place, for nothing but a push takes them out of it; and counts a little off
    /// beat no counts at all.
    fn lock(&self) -> MutexGuard<'_, Gauges> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauge(quota: &Quota, midnight: &Arc<Zone>) -> Gauge {
    let Quota { counted, amount, window, renewal, burst, .. } = quota;
    let period = |anew| Gauge::period(*counted, *window, *amount, anew, super::Source::Declared);
    match (counted, renewal) {
        (Counted::Concurrent, _) => Gauge::places(*amount),
        // A bucket of nothing would still have room for one.
        (_, Renewal::Bucket) if *amount > 0 => Gauge::refilled(*counted, *amount, *window, *burst),
        (_, Renewal::Bucket | Renewal::Aligned) => period(Anew::Aligned),
        (_, Renewal::Midnight(Some(zone))) => period(Anew::Midnight(Arc::new(zone.clone()))),
        (_, Renewal::Midnight(None)) => period(Anew::Midnight(Arc::clone(midnight))),
    }
}

// === impl Offer ===

impl Offer<'_> {
    /// Takes what the request needs, of all gauges; says which of the shares of declared limits, in rising order,
    /// that uses up. Of the others the answer will tell.
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

    /// Those that are known as limits.
    fn limits(&mut self) -> impl Iterator<Item = &mut Gauge> {
        self.all.iter_mut().filter(|gauge| !gauge.is_spacing)
    }

    fn available_at(&mut self, need: &Need, now: Moment) -> u64 {
        let at = |gauge: &mut Gauge| gauge.available_at(least_part_of(gauge, need), now);
        self.all.iter_mut().map(at).max().unwrap_or(0)
    }

    /// A bit for each learned gauge that lets a request of this need in only just; `None`: one does not.
    fn let_in(&mut self, need: &Need, now: Moment) -> Option<u8> {
        let mut close = 0;
        for (index, gauge) in self.all.iter_mut().enumerate() {
            let at = gauge.available_at(least_part_of(gauge, need), now);
            if at > now.as_unix_us() {
                return None;
            }
            // What is let in at any distance tells nothing of distances.
            let is_close = gauge.part_of(need) > 0 && gauge.is_close(at, now);
            if let Some(learned) = index.checked_sub(self.declared as usize) {
                close |= u8::from(is_close) << learned;
            }
        }
        Some(close)
    }
}

/// What is closed to all is closed to who says that it needs less, too.
fn least_part_of(gauge: &Gauge, need: &Need) -> u64 {
    gauge.part_of(need).max(gauge.part_of(&Need::LEAST))
}
