//! Leave to use a key: of the key itself, its account, and both for the model; and of those who hold back
//! keys of which nothing is known.

use super::chorus::{Chorus, Gate};
use super::place::{Level, Place};
use super::slot::{Admission, Pass};
use crate::clock::Moment;
use crate::key::Tier;
use crate::limits::{Marks, Need};

/// What leave of all levels of a key looks like.
pub(super) type Passes = [Pass; 4];

/// Whether it is the one trial of the keys that are held, whatever the model and for the model.
pub(super) type Trials = [bool; 2];

/// A key that may be used, and leave of all its levels.
pub(super) struct Admitted {
    pub(super) key: usize,
    pub(super) account: usize,
    pub(super) passes: Passes,
    pub(super) trials: Trials,
    /// Of the ledger at [home](Place::home), if it was there.
    pub(super) marks: Option<Marks>,
}

/// Asks leave of all levels of a key; one that is refused gives back what it had.
///
/// The limits are asked first and held until the slots have said yes: nobody takes a probe and gives it back for
/// a limit, and what of a limit is taken is needed.
pub(super) fn admit(place: Place<'_>, need: &Need, at: Moment) -> Option<Admitted> {
    let now = at.as_unix_ms();
    if place.key().is_disabled() {
        place.follow(Level::Key, now);
        return None;
    }
    let offers = match place.offers(need, at) {
        Ok(offers) => offers,
        Err(level) => {
            place.follow(level, now);
            return None;
        }
    };
    let trials = if place.is_held_back() { audition(place, now)? } else { Trials::default() };
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
    let marks = place.take(offers, need, at);
    if is_narrow {
        // Only now, for this looks at the limits.
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

/// A level has refused a request that the others would let in.
fn refuse(place: Place<'_>, passes: Passes, trials: Trials, by: Level, now: u64) {
    retract(place, passes, trials, now);
    // Last, for the probes that are handed back show the key again.
    place.follow(by, now);
}

/// Gives back what a request had that is not let in, and tells whoever was refused for it meanwhile.
///
/// This must not come of what stays as it is, or the heads of the lines wake each other and themselves for it
/// without end. So the limits are asked before, and a slot that refuses is closed for all: only what changes in
/// between gets here.
fn retract(place: Place<'_>, passes: Passes, trials: Trials, now: u64) {
    hand_back(place, passes, trials, now);
    if are_narrow(passes, trials) {
        place.set.common.freed.tell();
    }
}

/// Whether others may be kept out for as long as these are held.
pub(super) fn are_narrow(passes: Passes, trials: Trials) -> bool {
    trials.contains(&true) || passes.iter().any(|pass| pass.is_narrow())
}

/// Gives back the probes and the places on ramps among the passes, and the trials.
pub(super) fn hand_back(place: Place<'_>, passes: Passes, trials: Trials, now: u64) {
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

/// Gives back a place on a ramp, if the pass has one.
pub(super) fn step_off(place: Place<'_>, level: Level, pass: Pass, succeeded: bool, now: u64) {
    if let Some(slot) = place.slot(level).filter(|_| pass.ramp) {
        slot.step_off(pass, succeeded, place.set.common.cooldowns.last_on_ramp());
        place.follow(level, now);
    }
}

#[cold]
fn audition(place: Place<'_>, now: u64) -> Option<Trials> {
    // Nobody takes the one trial who waits for the other.
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
    pub(super) fn new(place: Place<'_>, passes: Passes) -> Self {
        Self { key: place.key, account: place.account, passes, trials: Trials::default(), marks: None }
    }
}

// === impl Place ===

impl<'a> Place<'a> {
    /// Who may hold the key back, whatever the model and for the model.
    pub(super) fn choruses(self) -> [Option<&'a Chorus>; 2] {
        [Some(&self.set.chorus), self.model.map(|model| &model.chorus)]
    }

    /// Whether keys like this one are held back.
    fn is_held_back(self) -> bool {
        self.choruses().into_iter().flatten().any(Chorus::is_holding) && self.is_unknown()
    }

    /// Whether nothing tells who shares the key's limits.
    pub(super) fn is_unknown(self) -> bool {
        self.may_be_kin() && self.key().account.identity() == 0
    }

    /// Whether the key may turn out to share limits with others.
    pub(super) fn may_be_kin(self) -> bool {
        let learns = self.set.common.learn_accounts;
        learns && self.key().tier == Tier::Primary && !self.set.is_declared(self.key)
    }

    /// Until when the key is held back, which is open for all else; `None` for one that is not.
    pub(super) fn held(self, chorus: Option<&Chorus>, now: u64) -> Option<Gate> {
        let gate = chorus.filter(|chorus| chorus.is_holding() && self.is_unknown())?.gate(self.key, now);
        (gate != Gate::Open).then_some(gate)
    }
}
