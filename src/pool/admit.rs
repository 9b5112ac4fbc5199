//! Leave to use a key: of the key itself, its account, and both for the model; and of those who hold back
//! keys of which nothing is known.

use super::chorus::{Chorus, Gate};
use super::place::{Level, Place};
use super::reserve::Reserved;
use super::slot::{Admission, Pass};
use crate::clock::Moment;
use crate::key::Tier;
use crate::limits::Need;

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
    pub(super) reserved: Reserved,
}

/// Asks leave of all levels of a key; one that is refused gives back what it had.
pub(super) fn admit(place: Place<'_>, need: &Need, at: Moment) -> Option<Admitted> {
    let now = at.as_unix_ms();
    if place.key().is_disabled() {
        place.follow(Level::Key, now);
        return None;
    }
    let trials = if place.is_held_back() { audition(place, now)? } else { Trials::default() };
    let mut passes = Passes::default();
    for level in Level::ALL {
        let Some(slot) = place.slot(level) else { continue };
        let Admission::Granted(pass) = slot.admit(now) else {
            // Last, for the probes that are handed back show the key again.
            hand_back(place, passes, trials, now);
            place.follow(level, now);
            return None;
        };
        passes[level as usize] = pass;
        if pass.probe || pass.ramp {
            place.follow(level, now);
        }
    }
    match place.reserve(need, at) {
        Ok(reserved) => Some(Admitted { trials, reserved, ..Admitted::new(place, passes) }),
        Err(level) => {
            hand_back(place, passes, trials, now);
            place.follow(level, now);
            None
        }
    }
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
    let mut trials = Trials::default();
    for (chorus, trial) in place.choruses().into_iter().flatten().zip(0..) {
        match chorus.ask(place.key, now) {
            Gate::Open => {}
            Gate::Trial => trials[trial] = true,
            Gate::Held(_) => {
                hand_back(place, Passes::default(), trials, now);
                return None;
            }
        }
    }
    Some(trials)
}

// === impl Admitted ===

impl Admitted {
    pub(super) fn new(place: Place<'_>, passes: Passes) -> Self {
        Self {
            key: place.key,
            account: place.account,
            passes,
            trials: Trials::default(),
            reserved: Reserved::default(),
        }
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
