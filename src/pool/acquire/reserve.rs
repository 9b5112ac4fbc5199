//! Reservation: takes the cost of a request from all limits of a candidate.

use crate::clock::Moment;
use crate::limits::{Estimate, Ledger, Marks, Need, Offer, Opening};
use crate::pool::keys::candidate::Place;
use crate::pool::scope::level::Level;
use crate::pool::scope::ready_bits::Bar;

/// The offers of the ledgers of all scopes that have one. These ledgers are locked meanwhile.
pub(in crate::pool) type Offers<'a> = Option<[Option<Offer<'a>>; Level::ALL.len()]>;

impl<'a> Place<'a> {
    /// Locks all ledgers that have room for a request, or returns the first scope without room.
    ///
    /// All offers are held before anything is taken. Otherwise another request could see a place taken that
    /// is given back at once because a later scope refuses. That request would be refused and wait, and
    /// nothing would wake it.
    pub(in crate::pool) fn offers(self, need: &Need, now: Moment) -> Result<Offers<'a>, Level> {
        let mut offers: Offers<'a> = None;
        for (level, ledger) in self.ledgers() {
            let offer = ledger.offer(need, now).ok_or(level)?;
            offers.get_or_insert_with(Default::default)[level as usize] = Some(offer);
        }
        Ok(offers)
    }

    /// Takes the offers. Returns the checkpoint of the ledger at the [home](Self::home) scope, if that ledger
    /// exists.
    pub(in crate::pool) fn take(self, offers: Offers<'a>, need: &Need, now: Moment) -> Option<Marks> {
        let mut offers = offers?;
        // Alarms are rare, so they are worth an allocation.
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

    /// Counts a request in flight at a scope that did not admit it.
    pub(in crate::pool) fn join(self, level: Level, need: &Need, taken_at: Moment) {
        if let Some(ledger) = self.ledger(level) {
            ledger.join(need, taken_at);
        }
    }

    /// Stops counting a request at a scope that admitted it.
    pub(in crate::pool) fn part(self, level: Level, need: &Need, taken_at: Moment) {
        if let Some(ledger) = self.ledger(level) {
            ledger.part(need, taken_at);
            self.follow(level, taken_at.as_unix_ms());
        }
    }

    /// Gives back the cost of a request that was never sent.
    pub(in crate::pool) fn give_all_back(self, need: &Need, taken_at: Moment) {
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

    /// Replaces the estimated tokens of a request by the provider's count.
    pub(in crate::pool) fn correct(
        self,
        thought: Estimate,
        counted: Estimate,
        taken_at: Moment,
        now: Moment,
    ) {
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

    /// Ends a request that began at `began`.
    pub(in crate::pool) fn leave(self, began: Moment) {
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

    /// Returns the home scope: the scope whose ledger records the limits that responses report.
    pub(in crate::pool) fn home(self) -> Level {
        if self.model.is_some() { Level::AccountModel } else { Level::Account }
    }

    /// Returns the ledger of the home scope. Creates it if it does not exist.
    pub(in crate::pool) fn learning(self) -> &'a Ledger {
        let ledgers = match self.model {
            Some(model) => &model.ledgers.accounts[self.account],
            None => &self.set.accounts[self.account].ledger,
        };
        ledgers.get_or_init(Box::default)
    }

    /// Returns the condition under which limits close a scope to every request.
    pub(in crate::pool) fn limit(self, level: Level) -> Bar {
        let Some(ledger) = self.ledger(level) else { return Bar::Open };
        let now = Moment::now();
        match ledger.opening(&Need::LEAST, now) {
            Opening::At(at) if at <= now.as_unix_us() => Bar::Open,
            // Rounded down to milliseconds: a request that comes within that millisecond looks again.
            Opening::At(at) => Bar::Until(Moment::from_unix_us(at).as_unix_ms()),
            Opening::AfterAnother | Opening::Never => Bar::Shut,
        }
    }
}
