//! Leave to use a key: of the key itself, its account, and both for the model.

use super::key_set::{Level, Place};
use super::reserve::Reserved;
use super::slot::{Admission, Pass};
use crate::clock::Moment;
use crate::limits::Need;

/// What leave of all levels of a key looks like.
pub(super) type Passes = [Pass; 4];

/// A key that may be used, and leave of all its levels.
pub(super) struct Admitted {
    pub(super) key: usize,
    pub(super) account: usize,
    pub(super) passes: Passes,
    pub(super) reserved: Reserved,
}

/// Asks leave of all levels of a key; one that is refused gives back what it had.
pub(super) fn admit(place: Place<'_>, need: &Need, at: Moment) -> Option<Admitted> {
    let now = at.as_unix_ms();
    if place.key().is_disabled() {
        place.follow(Level::Key, now);
        return None;
    }
    let mut passes = Passes::default();
    for level in Level::ALL {
        let Some(slot) = place.slot(level) else { continue };
        let Admission::Granted(pass) = slot.admit(now) else {
            // Last, for the probes that are handed back show the key again.
            hand_back(place, passes, now);
            place.follow(level, now);
            return None;
        };
        passes[level as usize] = pass;
        if pass.probe {
            place.follow(level, now);
        }
    }
    match place.reserve(need, at) {
        Ok(reserved) => Some(Admitted { reserved, ..Admitted::new(place, passes) }),
        Err(level) => {
            hand_back(place, passes, now);
            place.follow(level, now);
            None
        }
    }
}

/// Gives back the probes among the passes.
pub(super) fn hand_back(place: Place<'_>, passes: Passes, now: u64) {
    for level in Level::ALL {
        let pass = passes[level as usize];
        if let Some(slot) = place.slot(level).filter(|_| pass.probe) {
            slot.hand_back(pass);
            place.follow(level, now);
        }
    }
}

// === impl Admitted ===

impl Admitted {
    pub(super) fn new(place: Place<'_>, passes: Passes) -> Self {
        Self { key: place.key, account: place.account, passes, reserved: Reserved::default() }
    }
}
