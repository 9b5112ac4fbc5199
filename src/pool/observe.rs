//! What the head of an answer tells a pool.

use http::HeaderMap;

use super::Lease;
use super::key_set::Level;
use crate::clock::{Moment, Timestamp};
use crate::limits::{Observed, Seen};
use crate::provider::ModelId;

impl Lease {
    /// Takes over what the head of an answer says of limits, so that what it says is used up is not asked for
    /// again. For every answer, whatever became of the request; before the lease is settled.
    ///
    /// `model` is what the request was about, and whose limits they are; where it is unknown they concern all.
    pub fn observe(&mut self, headers: &HeaderMap, model: Option<&ModelId>) {
        self.observe_at(headers, || model.cloned(), Moment::now());
    }

    /// The same; `model` is asked for only if the answer says anything.
    pub(crate) fn observe_at(
        &mut self,
        headers: &HeaderMap,
        model: impl FnOnce() -> Option<ModelId>,
        answered: Moment,
    ) {
        let set = std::sync::Arc::clone(&self.set);
        let provider = &set.common.provider;
        let limits = provider.telling_limits(headers, answered.into());
        if limits.is_empty() {
            return;
        }
        let asked_for = self.lane.is_some();
        if !asked_for && let Some(model) = model() {
            self.enter(set.new_lane(&model, answered.into()));
        }
        let marks = self.marks.as_ref().filter(|_| asked_for == self.lane.is_some());
        let seen = Seen { sent: self.began, answered };
        let observed = Observed { limits: &limits, resets_mean_full: provider.resets_mean_full(), seen };
        let place = self.place();
        place.learning().observe(marks, &observed);
        set.saw_limits(&limits);
        place.follow(place.home(), Timestamp::from(answered).as_unix_ms());
    }
}

impl<'a> super::Place<'a> {
    /// The ledger of what answers say, made if need be.
    fn learning(self) -> &'a crate::limits::Ledger {
        let ledgers = match (self.home(), self.model) {
            (Level::AccountModel, Some(model)) => &model.account_ledgers[self.account()],
            _ => &self.set.accounts[self.account()].ledger,
        };
        ledgers.get_or_init(Box::default)
    }
}
