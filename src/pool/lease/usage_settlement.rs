//! Accounting that stays open until the response body ends: the tokens of a request, and its place.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::body::meter::Usage;
use crate::body::{Settle, StreamErrorKind};
use crate::clock::Moment;
use crate::event::{Kind, Severity};
use crate::limits::Need;
use crate::pool::Lease;
use crate::pool::acquire::reserve::{correct, leave};
use crate::pool::keys::candidate::Place;
use crate::pool::keys::model::ModelLane;
use crate::pool::lease::in_flight::InFlight;
use crate::provider::ModelId;

/// The open accounting of a response, from its commit to the end of its body. Dropping it means that the
/// caller gave up the body: the place is freed, and the estimated tokens stay counted.
pub(crate) struct Tab {
    /// Counts the request as in flight while this value exists.
    set: InFlight,
    lane: Option<Arc<ModelLane>>,
    account: usize,
    need: Need,
    began: Moment,
    /// The model to name in events.
    model: Option<ModelId>,
    /// Whether the accounting is closed.
    closed: AtomicBool,
}

// === impl Tab ===

impl Tab {
    /// Opens the accounting of a response. It counts as in flight in place of its lease.
    pub(in crate::pool) fn of(lease: &mut Lease) -> Self {
        Self {
            set: lease.set.hand_over(),
            lane: lease.lane.clone(),
            account: lease.account,
            need: lease.need,
            began: lease.began,
            model: None,
            closed: AtomicBool::new(false),
        }
    }

    /// Sets the model to name in events about the response.
    pub(crate) fn for_model(mut self, model: Option<ModelId>) -> Self {
        self.model = model;
        self
    }

    fn count(&self, usage: Usage) {
        let (place, now) = (self.place(), Moment::now());
        place.key().tally.tokens(usage, now.into());
        if let Some(lane) = &self.lane {
            lane.tally.tokens(usage, now.into());
        }
        #[cfg(feature = "metrics")]
        {
            let model = self.lane.as_deref().map(|lane| &lane.model);
            self.set.common.events.count_tokens(&self.set.common.name, model, &usage);
        }
        let thought = self.need.tokens();
        correct(place, thought, thought.corrected(usage), self.began, now);
    }

    fn close(&self) {
        if !self.closed.swap(true, Ordering::Relaxed) {
            leave(self.place(), self.began);
        }
    }

    fn place(&self) -> Place<'_> {
        Place { set: &self.set, model: self.lane.as_deref(), key: self.set.key(), account: self.account }
    }
}

impl Settle for Tab {
    fn wants_usage(&self) -> bool {
        true
    }

    fn settle(&self, usage: Option<Usage>) {
        usage.into_iter().for_each(|usage| self.count(usage));
        self.close();
    }

    fn failed(&self, kind: StreamErrorKind) {
        self.set.common.emit(Severity::Change, || Kind::StreamFailed {
            key: Some(self.place().key().id.clone()),
            model: self.model.clone(),
            reason: kind.as_str(),
        });
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Tab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, lane: _, account: _, need, began: _, model: _, closed: _ } = self;
        f.debug_struct("Tab")
            .field("key", &set.keys[set.key()].id)
            .field("need", need)
            .finish_non_exhaustive()
    }
}
