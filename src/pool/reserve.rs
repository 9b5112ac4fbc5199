//! What requests take of the limits that stand between them and a key.

use super::lane::Bar;
use super::place::{Level, Place};
use crate::clock::Moment;
use crate::limits::{Alarm, Estimate, Ledger, Marks, Need, Offer, Opening};

/// What a request was given of the limits.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    /// Of the ledger at [home](Place::home), if it was there.
    pub(super) marks: Option<Marks>,
    /// Whose they are, too. Hardly ever any, and then worth an allocation.
    pub(super) alarms: Vec<(Level, Alarm)>,
}

/// Of the ledgers of all levels, as far as there are any. They are locked meanwhile.
pub(super) type Offers<'a> = [Option<Offer<'a>>; Level::ALL.len()];

impl<'a> Place<'a> {
    /// Holds on to what a request needs of all ledgers; or says which has too little.
    ///
    /// Nobody sees a place taken that is given back at once because a later level refuses: who was refused for
    /// such a place, and waits, would never be told. That is why all are held before any is taken.
    pub(super) fn offers(self, need: &Need, now: Moment) -> Result<Offers<'a>, Level> {
        let mut offers = [const { None }; Level::ALL.len()];
        for (level, offer) in Level::ALL.into_iter().zip(&mut offers) {
            let Some(ledger) = self.ledger(level) else { continue };
            *offer = Some(ledger.offer(need, now).ok_or(level)?);
        }
        Ok(offers)
    }

    /// Takes what is offered.
    pub(super) fn take(self, offers: Offers<'a>, need: &Need, now: Moment) -> Reserved {
        let mut reserved = Reserved::default();
        for (level, offer) in Level::ALL.into_iter().zip(offers) {
            let Some(offer) = offer else { continue };
            let tell = |alarm| reserved.alarms.push((level, alarm));
            let marks = offer.take(need, &self.set.common.warn_at, now, tell);
            if level == self.home() {
                reserved.marks = Some(marks);
            }
        }
        reserved
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
        Level::ALL.into_iter().for_each(|level| self.give_back(level, need, taken_at));
        if Level::ALL.into_iter().any(|level| self.ledger(level).is_some()) {
            self.set.common.freed.tell();
        }
    }

    fn give_back(self, level: Level, need: &Need, taken_at: Moment) {
        if let Some(ledger) = self.ledger(level) {
            ledger.give_back(need, taken_at);
            self.follow(level, taken_at.as_unix_ms());
        }
    }

    /// The request took other tokens than was thought.
    pub(super) fn correct(self, thought: Estimate, counted: Estimate, taken_at: Moment, now: Moment) {
        if thought == counted {
            return;
        }
        let (mut changed, mut alarms) = (false, Vec::new());
        for level in Level::ALL {
            let Some(ledger) = self.ledger(level) else { continue };
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
        for level in Level::ALL {
            if self.ledger(level).is_some_and(|ledger| ledger.leave(began)) {
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
            Some(model) => &model.account_ledgers[self.account],
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
