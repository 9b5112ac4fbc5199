//! Admission: checks a candidate at every scope, and against the shared limit detector.

use crate::clock::Moment;
use crate::limits::{Marks, Need};
use crate::pool::acquire::reserve::{offers, take};
use crate::pool::keys::candidate::Place;
use crate::pool::scope::level::Level;
use crate::pool::scope::shared_limit::{Chorus, Gate};
use crate::pool::scope::slot::{Admission, Pass};

/// The permits of all scopes of a key, in the order of [`Level::ALL`].
pub(in crate::pool) type Passes = [Pass; 4];

/// Whether the lease is the canary of the shared limit detector, for every model and for its model.
pub(in crate::pool) type Trials = [bool; 2];

/// A key that may be used, with the permits of all its scopes.
pub(in crate::pool) struct Admitted {
    pub(in crate::pool) key: usize,
    pub(in crate::pool) account: usize,
    pub(in crate::pool) passes: Passes,
    pub(in crate::pool) trials: Trials,
    /// The checkpoint of the ledger at the [home](Place::home) scope, if that ledger exists.
    pub(in crate::pool) marks: Option<Marks>,
}

/// Admits a request to a candidate key at all its scopes. A refused request gives back everything that it
/// had.
///
/// The limits are checked first and stay locked until all slots have admitted the request. So no request
/// takes a probe and gives it back because of a limit, and nothing is taken from a limit in vain.
pub(in crate::pool) fn admit(place: Place<'_>, need: &Need, at: Moment) -> Option<Admitted> {
    let now = at.as_unix_ms();
    if place.key().is_disabled() {
        place.follow(Level::Key, now);
        return None;
    }
    let offers = match offers(place, need, at) {
        Ok(offers) => offers,
        Err(level) => {
            place.follow(level, now);
            return None;
        }
    };
    let trials = if is_held_back(place) { audition(place, now)? } else { Trials::default() };
    let (mut passes, mut is_narrow) = (Passes::default(), false);
    for &level in place.levels() {
        let Some(slot) = place.slot(level) else { continue };
        let Admission::Granted(pass) = slot.admit(now) else {
            drop(offers);
            refuse(place, passes, trials, level, now);
            return None;
        };
        passes[level as usize] = pass;
        is_narrow |= pass.is_narrow();
    }
    let marks = take(place, offers, need, at);
    if is_narrow {
        // Last, because this reads the limits, which are locked before.
        follow_narrow(place, passes, now);
    }
    Some(Admitted { trials, marks, ..Admitted::new(place, passes) })
}

#[cold]
fn follow_narrow(place: Place<'_>, passes: Passes, now: u64) {
    for level in Level::ALL.into_iter().filter(|level| passes[*level as usize].is_narrow()) {
        place.follow(level, now);
    }
}

/// Admits one request although a cooldown at `closed` keeps the key out. Its limits apply nevertheless.
pub(in crate::pool) fn admit_early(
    place: Place<'_>,
    closed: Level,
    need: &Need,
    at: Moment,
) -> Option<Admitted> {
    let offers = offers(place, need, at).ok()?;
    let pass = place.slot(closed)?.admit_early()?;
    let mut passes = Passes::default();
    for other in Level::ALL.into_iter().filter(|other| *other != closed) {
        passes[other as usize].epoch = place.state(other).epoch;
    }
    passes[closed as usize] = pass;
    Some(Admitted { marks: take(place, offers, need, at), ..Admitted::new(place, passes) })
}

/// Undoes an admission that one scope refused after others had granted it.
fn refuse(place: Place<'_>, passes: Passes, trials: Trials, by: Level, now: u64) {
    retract(place, passes, trials, now);
    // Last, because probes that are handed back set the ready bit again.
    place.follow(by, now);
}

/// Gives back the permits of a request that is not admitted, and wakes the waiters that were refused because
/// of them.
///
/// A state that lasts must not lead here, or the heads of the queues would wake each other and themselves
/// without end. So the limits are checked first, and a slot that refuses is closed to all requests: only
/// changes in between lead here.
fn retract(place: Place<'_>, passes: Passes, trials: Trials, now: u64) {
    hand_back(place, passes, trials, now);
    if are_narrow(passes, trials) {
        place.set.common.freed.tell();
    }
}

/// Returns whether these permits may keep other requests out for as long as they are held.
pub(in crate::pool) fn are_narrow(passes: Passes, trials: Trials) -> bool {
    trials.contains(&true) || passes.iter().any(|pass| pass.is_narrow())
}

/// Gives back the probes, the places in slow starts, and the canaries.
pub(in crate::pool) fn hand_back(place: Place<'_>, passes: Passes, trials: Trials, now: u64) {
    for level in Level::ALL {
        let pass = passes[level as usize];
        if let Some(slot) = place.slot(level).filter(|_| pass.probe) {
            slot.hand_back(pass);
            place.follow(level, now);
        }
        step_off(place, level, pass, false, now);
    }
    for (chorus, _) in place.choruses().into_iter().flatten().zip(trials).filter(|(_, trial)| *trial) {
        chorus.hand_back(now);
    }
}

/// Gives back the place of a permit in a slow start, if it has one.
pub(in crate::pool) fn step_off(place: Place<'_>, level: Level, pass: Pass, succeeded: bool, now: u64) {
    if let Some(slot) = place.slot(level).filter(|_| pass.ramp) {
        slot.step_off(pass, succeeded, place.set.common.cooldowns.last_on_ramp());
        place.follow(level, now);
    }
}

/// Returns whether a shared limit detector holds back keys like this one.
fn is_held_back(place: Place<'_>) -> bool {
    place.choruses().into_iter().flatten().any(Chorus::is_holding) && place.is_unknown()
}

#[cold]
fn audition(place: Place<'_>, now: u64) -> Option<Trials> {
    // A request that has to wait for one detector must not take the canary of the other.
    let shut = |chorus: &Chorus| match chorus.gate(place.key, now) {
        Gate::Held(next) => next.is_none_or(|next| next > now),
        Gate::Open | Gate::Trial => false,
    };
    if place.choruses().into_iter().flatten().any(shut) {
        return None;
    }
    let mut trials = Trials::default();
    for (chorus, trial) in place.choruses().into_iter().flatten().zip(0..) {
        match chorus.ask(place.key, now) {
            Gate::Open => {}
            Gate::Trial => trials[trial] = true,
            Gate::Held(_) => {
                retract(place, Passes::default(), trials, now);
                return None;
            }
        }
    }
    Some(trials)
}

// === impl Admitted ===

impl Admitted {
    pub(in crate::pool) fn new(place: Place<'_>, passes: Passes) -> Self {
        Self { key: place.key, account: place.account, passes, trials: Trials::default(), marks: None }
    }
}
