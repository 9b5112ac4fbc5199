//! Reservation: takes the cost of a request from all limits of a candidate.

use crate::clock::Moment;
use crate::limits::{Estimate, Marks, Need, Offer};
use crate::pool::keys::candidate::Place;
use crate::pool::keys::warnings::warn;
use crate::pool::scope::level::Level;

/// The offers of the ledgers of all scopes that have one. These ledgers are locked meanwhile.
pub(in crate::pool) type Offers<'a> = Option<[Option<Offer<'a>>; Level::ALL.len()]>;

/// Locks all ledgers that have room for a request, or returns the first scope without room.
///
/// All offers are held before anything is taken. Otherwise another request could see a place taken that
/// is given back at once because a later scope refuses. That request would be refused and wait, and
/// nothing would wake it.
pub(in crate::pool) fn offers<'a>(place: Place<'a>, need: &Need, now: Moment) -> Result<Offers<'a>, Level> {
    let mut offers: Offers<'a> = None;
    for (level, ledger) in place.ledgers() {
        let offer = ledger.offer(need, now).ok_or(level)?;
        offers.get_or_insert_with(Default::default)[level as usize] = Some(offer);
    }
    Ok(offers)
}

/// Takes the offers. Returns the checkpoint of the ledger at the [home](Place::home) scope, if that ledger
/// exists.
pub(in crate::pool) fn take(place: Place<'_>, offers: Offers<'_>, need: &Need, now: Moment) -> Option<Marks> {
    let mut offers = offers?;
    // Alarms are rare, so they are worth an allocation.
    let (mut home, mut alarms) = (None, Vec::new());
    for level in Level::ALL {
        let Some(offer) = offers[level as usize].take() else { continue };
        let tell = |alarm| alarms.push((level, alarm));
        let marks = offer.take(need, &place.set.common.warn_at, now, tell);
        if level == place.home() {
            home = Some(marks);
        }
    }
    warn(place, &alarms);
    home
}

/// Counts a request in flight at a scope that did not admit it.
pub(in crate::pool) fn join(place: Place<'_>, level: Level, need: &Need, taken_at: Moment) {
    if let Some(ledger) = place.ledger(level) {
        ledger.join(need, taken_at);
    }
}

/// Stops counting a request at a scope that admitted it.
pub(in crate::pool) fn part(place: Place<'_>, level: Level, need: &Need, taken_at: Moment) {
    if let Some(ledger) = place.ledger(level) {
        ledger.part(need, taken_at);
        place.follow(level, taken_at.as_unix_ms());
    }
}

/// Gives back the cost of a request that was never sent.
pub(in crate::pool) fn give_all_back(place: Place<'_>, need: &Need, taken_at: Moment) {
    let mut freed = false;
    for (level, ledger) in place.ledgers() {
        ledger.give_back(need, taken_at);
        place.follow(level, taken_at.as_unix_ms());
        freed = true;
    }
    if freed {
        place.set.common.freed.tell();
    }
}

/// Replaces the estimated tokens of a request by the provider's count.
pub(in crate::pool) fn correct(
    place: Place<'_>,
    thought: Estimate,
    counted: Estimate,
    taken_at: Moment,
    now: Moment,
) {
    if thought == counted {
        return;
    }
    let (mut changed, mut alarms) = (false, Vec::new());
    for (level, ledger) in place.ledgers() {
        let tell = |alarm| alarms.push((level, alarm));
        if ledger.correct((thought, counted), (taken_at, now), &place.set.common.warn_at, tell) {
            place.follow(level, now.as_unix_ms());
            changed = true;
        }
    }
    if changed {
        place.set.common.freed.tell();
    }
    warn(place, &alarms);
}

/// Ends a request that began at `began`.
pub(in crate::pool) fn leave(place: Place<'_>, began: Moment) {
    let mut freed = false;
    for (level, ledger) in place.ledgers() {
        if ledger.leave(began) {
            place.follow(level, began.as_unix_ms());
            freed = true;
        }
    }
    if freed {
        place.set.common.freed.tell();
    }
}
