//! What a request still owes when its answer has begun: the count of its tokens, and its place.

use std::fmt;
use std::sync::Arc;

use super::key_set::{KeySet, Level, Place};
use super::models::ModelLane;
use crate::body::meter::Usage;
use crate::clock::{Moment, Timestamp};
use crate::limits::Need;

/// Open from the commit of an answer to the end of its body. Dropping it says that the body was given up: its
/// place is free, and what it took stays as it was thought to be.
pub(crate) struct Tab {
    set: Arc<KeySet>,
    lane: Option<Arc<ModelLane>>,
    key: usize,
    need: Need,
    began: Moment,
}

impl Tab {
    pub(super) const fn new(
        set: Arc<KeySet>,
        lane: Option<Arc<ModelLane>>,
        key: usize,
        need: Need,
        began: Moment,
    ) -> Self {
        Self { set, lane, key, need, began }
    }

    /// The body has ended, or is not wanted any more; this is what its provider counted, if it said so.
    pub(crate) fn close(self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        let (place, now) = (self.place(), Moment::now());
        place.key().tally.tokens(usage, now.into());
        if let Some(lane) = &self.lane {
            lane.tally.tokens(usage, now.into());
        }
        let thought = self.need.tokens();
        let counted = thought.corrected(usage);
        for level in Level::ALL {
            if let Some(ledger) = place.ledger(level).filter(|_| counted != thought) {
                ledger.correct(thought, counted, self.began, now);
                place.follow(level, now.as_unix_ms());
            }
        }
        if counted != thought {
            self.set.common.freed.tell();
        }
    }

    fn place(&self) -> Place<'_> {
        Place { set: &self.set, model: self.lane.as_deref(), key: self.key }
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.place().leave(self.began);
    }
}

impl Place<'_> {
    /// A request that began then is over.
    pub(super) fn leave(self, began: Moment) {
        let mut freed = false;
        for level in Level::ALL {
            if self.ledger(level).is_some_and(|ledger| ledger.leave(began)) {
                self.follow(level, Timestamp::from(began).as_unix_ms());
                freed = true;
            }
        }
        if freed {
            self.set.common.freed.tell();
        }
    }
}

impl fmt::Debug for Tab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, lane: _, key, need, began: _ } = self;
        f.debug_struct("Tab").field("key", &set.keys[*key].id).field("need", need).finish_non_exhaustive()
    }
}
