//! What requests take of the limits that stand between them and a key.

use super::lane::Bar;
use super::place::{Level, Place};
use crate::clock::Moment;
use crate::limits::{Estimate, Ledger, Marks, Need, Offer, Opening};

/// Of the ledgers of all levels, as far as there are any. They are locked meanwhile.
pub(super) type Offers<'a> = Option<[Option<Offer<'a>>; Level::ALL.len()]>;

impl<'a> Place<'a> {
    /// Holds on to what a request needs of all ledgers; or says which has too little.
    ///
    /// Nobody sees a place taken that is given back at once because a later level refuses: who was refused for
    /// such a place, and waits, would never be told. That is why all are held before any is taken.
    pub(super) fn offers(self, need: &Need, now: Moment) -> Result<Offers<'a>, Level> {
        let mut offers: Offers<'a> = None;
        for (level, ledger) in self.ledgers() {
            let offer = ledger.offer(need, now).ok_or(level)?;
            offers.get_or_insert_with(Default::default)[level as usize] = Some(offer);
        }
        Ok(offers)
    }

    /// Takes what is offered; gives the marks of the ledger at [home](Self::home), if it was there.
    pub(super) fn take(self, offers: Offers<'a>, need: &Need, now: Moment) -> Option<Marks> {
        let mut offers = offers?;
        // Hardly ever any alarms, and then worth an allocation.
        let (mut home, mut alarms) = (None, Vec::new());
        for level in Level::ALL {
            let Some(offer) = offers[level as usize].take() else { continue };
            let tell = |alarm| alarms.push((level, alarm));
            let marks = offer.take(need, &self.set.common.warn_at, now, tell);
            if level == self.home() {
                home = Some(marks);
            }
        }
        self.warn(&alarms);
        home
    }

    /// Counts a request that is under way at a level that it was not admitted by.
    pub(super) fn join(self, level: Level, need: &Need, taken_at: Moment) {
        if let Some(ledger) = self.ledger(level) {
            ledger.join(need, taken_at);
        }
    }

    /// Counts a request no more at a level that it was admitted by.
    pub(super) fn part(self, level: Level, need: &Need, taken_at: Moment) {
        if let Some(ledger) = self.ledger(level) {
            ledger.part(need, taken_at);
            self.follow(level, taken_at.as_unix_ms());
        }
    }

    /// A request was never sent.
    pub(super) fn give_all_back(self, need: &Need, taken_at: Moment) {
        let mut freed = false;
        for (level, ledger) in self.ledgers() {
            ledger.give_back(need, taken_at);
            self.follow(level, taken_at.as_unix_ms());
            freed = true;
        }
        if freed {
            self.set.common.freed.tell();
        }
    }

    /// The request took other tokens than was thought.
    pub(super) fn correct(self, thought: Estimate, counted: Estimate, taken_at: Moment, now: Moment) {
        if thought == counted {
            return;
        }
        let (mut changed, mut alarms) = (false, Vec::new());
        for (level, ledger) in self.ledgers() {
            let tell = |alarm| alarms.push((level, alarm));
            if ledger.correct((thought, counted), (taken_at, now), &self.set.common.warn_at, tell) {
                self.follow(level, now.as_unix_ms());
                changed = true;
            }
        }
        if changed {
            self.set.common.freed.tell();
        }
        self.warn(&alarms);
    }

    /// A request that began then is over.
    pub(super) fn leave(self, began: Moment) {
        let mut freed = false;
        for (level, ledger) in self.ledgers() {
            if ledger.leave(began) {
                self.follow(level, began.as_unix_ms());
                freed = true;
            }
        }
        if freed {
            self.set.common.freed.tell();
        }
    }

    /// Where what answers say of limits is booked.
    pub(super) fn home(self) -> Level {
        if self.model.is_some() { Level::AccountModel } else { Level::Account }
    }

    /// The ledger at home, made if need be.
    pub(super) fn learning(self) -> &'a Ledger {
        let ledgers = match self.model {
            Some(model) => &model.ledgers.accounts[self.account],
            None => &self.set.accounts[self.account].ledger,
        };
        ledgers.get_or_init(Box::default)
    }

    /// What of the limits closes a level to every request.
    pub(super) fn limit(self, level: Level) -> Bar {
        let Some(ledger) = self.ledger(level) else { return Bar::Open };
        let now = Moment::now();
        match ledger.opening(&Need::LEAST, now) {
            Opening::At(at) if at <= now.as_unix_us() => Bar::Open,
            // Rounded down: whoever comes in that millisecond looks again.
            Opening::At(at) => Bar::Until(Moment::from_unix_us(at).as_unix_ms()),
            Opening::AfterAnother | Opening::Never => Bar::Shut,
        }
    }
}
