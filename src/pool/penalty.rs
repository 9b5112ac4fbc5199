//! A bench that may be taken back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::key_set::KeySet;
use super::models::ModelLane;
use super::place::{Level, Place};
use super::slot::{Benched, FOREVER};
use crate::clock::Timestamp;

/// A bench that was imposed, for taking it back: see [`undo`](Self::undo).
#[must_use = "hold on to it for as long as the verdict may turn out to be the request's fault"]
pub struct Penalty {
    pub(super) set: Arc<KeySet>,
    pub(super) lane: Option<Arc<ModelLane>>,
    pub(super) key: usize,
    pub(super) account: usize,
    pub(super) level: Level,
    pub(super) benched: Benched,
    pub(super) at: Timestamp,
}

// === impl Penalty ===

impl Penalty {
    /// Takes the bench back, unless something has happened to the key since.
    pub fn undo(self) {
        self.undo_at(Timestamp::now());
    }

    pub(crate) fn undo_at(self, now: Timestamp) {
        let (set, model) = (&self.set, self.lane.as_deref());
        let place = Place { set, model, key: self.key, account: self.account };
        if let Some(slot) = place.slot(self.level) {
            slot.undo(self.benched, now.as_unix_ms());
            place.follow(self.level, now.as_unix_ms());
            self.set.common.freed.tell();
        }
    }

    /// How long the bench lasts; `None`: until the key is replaced or reset.
    pub fn wait(&self) -> Option<Duration> {
        let until = self.benched.after.until;
        (until < FOREVER).then(|| Timestamp::from_unix_ms(until).saturating_since(self.at))
    }
}

impl fmt::Debug for Penalty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, lane: _, key, account: _, level, benched: _, at } = self;
        f.debug_struct("Penalty")
            .field("key", &set.keys[*key].id)
            .field("level", level)
            .field("wait", &self.wait())
            .field("at", at)
            .finish()
    }
}
