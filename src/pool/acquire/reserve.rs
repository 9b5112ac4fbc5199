//! Reservation: takes the cost of a request from all limits of a candidate.

use crate::clock::Moment;
use crate::limits::{Checkpoints, Cost, Estimate, Offer};
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::warnings::warn;
use crate::pool::scope::level::Level;

/// The offers of the ledgers of all scopes that have one. These ledgers are locked meanwhile.
pub(in crate::pool) type Offers<'a> = Option<[Option<Offer<'a>>; Level::ALL.len()]>;

/// Locks all ledgers that have room for a request, or returns the first scope without room.
///
/// All offers are held before anything is taken. Otherwise another request could see a place taken that
/// is given back at once because a later scope refuses. That request would be refused and wait, and
/// nothing would wake it.
#[inline]
pub(in crate::pool) fn offers<'a>(
    candidate: Candidate<'a>,
    cost: &Cost,
    now: Moment,
) -> Result<Offers<'a>, Level> {
    if candidate.is_unlimited() { Ok(None) } else { offers_of_limits(candidate, cost, now) }
}

fn offers_of_limits<'a>(candidate: Candidate<'a>, cost: &Cost, now: Moment) -> Result<Offers<'a>, Level> {
    let mut offers: Offers<'a> = None;
    for (level, ledger) in candidate.ledgers() {
        let offer = ledger.offer(cost, now).ok_or(level)?;
        offers.get_or_insert_with(Default::default)[level as usize] = Some(offer);
    }
    Ok(offers)
}

/// Takes the offers. Returns the checkpoint of the ledger at the [home](Candidate::home) scope, if that ledger
/// exists.
pub(in crate::pool) fn take(
    candidate: Candidate<'_>,
    offers: Offers<'_>,
    cost: &Cost,
    now: Moment,
) -> Option<Checkpoints> {
    let mut offers = offers?;
    // Alarms are rare, so they are worth an allocation.
    let (mut home, mut alarms) = (None, Vec::new());
    for level in Level::ALL {
        let Some(offer) = offers[level as usize].take() else { continue };
        let tell = |alarm| alarms.push((level, alarm));
        let checkpoints = offer.take(cost, &candidate.set.common.warn_at, now, tell);
        if level == candidate.home() {
            home = Some(checkpoints);
        }
    }
    warn(candidate, &alarms);
    home
}

/// Counts a request in flight at a scope that did not admit it.
pub(in crate::pool) fn join(candidate: Candidate<'_>, level: Level, cost: &Cost, taken_at: Moment) {
    if let Some(ledger) = candidate.ledger(level) {
        ledger.join(cost, taken_at);
    }
}

/// Stops counting a request at a scope that admitted it.
pub(in crate::pool) fn part(candidate: Candidate<'_>, level: Level, cost: &Cost, taken_at: Moment) {
    if let Some(ledger) = candidate.ledger(level) {
        ledger.part(cost, taken_at);
        candidate.sync(level, taken_at.as_unix_ms());
    }
}

/// Gives back the cost of a request that was never sent.
pub(in crate::pool) fn give_all_back(candidate: Candidate<'_>, cost: &Cost, taken_at: Moment) {
    let mut released = false;
    for (level, ledger) in candidate.ledgers() {
        ledger.give_back(cost, taken_at);
        candidate.sync(level, taken_at.as_unix_ms());
        released = true;
    }
    if released {
        candidate.set.common.released.tell();
    }
}

/// Replaces the estimated tokens of a request by the provider's count.
pub(in crate::pool) fn correct(
    candidate: Candidate<'_>,
    thought: Estimate,
    counted: Estimate,
    taken_at: Moment,
    now: Moment,
) {
    if thought == counted {
        return;
    }
    let (mut changed, mut alarms) = (false, Vec::new());
    for (level, ledger) in candidate.ledgers() {
        let tell = |alarm| alarms.push((level, alarm));
        if ledger.correct((thought, counted), (taken_at, now), &candidate.set.common.warn_at, tell) {
            candidate.sync(level, now.as_unix_ms());
            changed = true;
        }
    }
    if changed {
        candidate.set.common.released.tell();
    }
    warn(candidate, &alarms);
}

/// Ends a request that began at `began`.
pub(in crate::pool) fn leave(candidate: Candidate<'_>, began: Moment) {
    let mut released = false;
    for (level, ledger) in candidate.ledgers() {
        if ledger.leave(began) {
            candidate.sync(level, began.as_unix_ms());
            released = true;
        }
    }
    if released {
        candidate.set.common.released.tell();
    }
}
