//! What a request still owes when its answer has begun: the count of its tokens, and its place.

use std::fmt;
use std::sync::Arc;

use super::key_set::{KeySet, Place};
use super::models::ModelLane;
use crate::body::meter::Usage;
use crate::clock::Moment;
use crate::limits::Need;

/// Open from the commit of an answer to the end of its body. Dropping it says that the body was given up: its
/// place is free, and what it took stays as it was thought to be.
pub(crate) struct Tab {
    pub(super) set: Arc<KeySet>,
    pub(super) lane: Option<Arc<ModelLane>>,
    pub(super) key: usize,
    pub(super) account: usize,
    pub(super) need: Need,
    pub(super) began: Moment,
}

impl Tab {
    /// The body has ended, or is not wanted any more; this is what its provider counted, if it said so.
    pub(crate) fn close(self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        let (place, now) = (self.place(), Moment::now());
        place.key().tally.tokens(usage, now.into());
        if let Some(lane) = &self.lane {
            lane.tally.tokens(usage, now.into());
        }
        let thought = self.need.tokens();
        place.correct(thought, thought.corrected(usage), self.began, now);
    }

    fn place(&self) -> Place<'_> {
        Place { set: &self.set, model: self.lane.as_deref(), key: self.key, account: self.account }
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.place().leave(self.began);
    }
}

impl fmt::Debug for Tab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, lane: _, key, account: _, need, began: _ } = self;
        f.debug_struct("Tab").field("key", &set.keys[*key].id).field("need", need).finish_non_exhaustive()
    }
}
