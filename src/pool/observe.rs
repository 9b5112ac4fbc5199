//! What the head of an answer says of the key it answers, whether it is a success or a refusal.

use http::{HeaderMap, StatusCode};

use super::Lease;
use crate::clock::Moment;
use crate::limits::Observed;
use crate::provider::{Limit, ModelId};

impl Lease {
    /// Takes note of what the head of the answer says of the key: which account it was counted for, where
    /// the provider says so (OpenAI, Anthropic), and what is left of which limit. Keys whose answers name the
    /// same account share its limits from then on, unless their accounts were declared; what is used up is not
    /// asked for again before it is back.
    ///
    /// `model` is what the request was about, and whose limits they are; where it is unknown they concern all.
    ///
    /// The rotation layer does this with every answer. Whoever sends requests without it may, before the
    /// lease is settled.
    pub fn observe(&mut self, status: StatusCode, headers: &HeaderMap, model: Option<&ModelId>) {
        self.observe_at(status, headers, || model.cloned(), Moment::now());
    }

    /// The same; `model` is asked for only if the answer speaks of limits.
    pub(crate) fn observe_at(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        model: impl FnOnce() -> Option<ModelId>,
        answered: Moment,
    ) {
        let provider = &self.set.common.provider;
        if let Some(shown) = provider.account_in(headers) {
            self.set.learn(self.set.key(), shown);
        }
        let limits = provider.telling_limits(headers, answered.into());
        if limits.is_empty() {
            return;
        }
        self.move_along();
        if self.lane.is_none()
            && let Some(model) = model()
        {
            self.enter(self.set.new_lane(&model, answered.into()));
        }
        self.book(&limits, status.is_success(), answered);
    }

    fn book(&self, limits: &[Limit], admitted: bool, answered: Moment) {
        let set = &self.set;
        let resets_mean_full = set.common.provider.resets_mean_full();
        let place = self.place();
        let observed = Observed { limits, resets_mean_full, admitted, sent: self.began, answered };
        let mut alarms = Vec::new();
        let tell = |alarm| alarms.push((place.home(), alarm));
        let is_open = place.learning().observe(self.marks.as_ref(), &observed, &set.common.warn_at, tell);
        set.saw_limits(limits);
        // Whoever hides keys for what is left asks the ledger again when that is done, and the ledger is asked by
        // one at a time: either that is later than what was booked here, or the keys are seen hidden here.
        if !is_open || !place.shows_account() {
            place.follow(place.home(), answered.as_unix_ms());
        }
        set.common.freed.tell();
        place.warn(&alarms);
    }
}
