//! Observation: the information about a key in the head of its response, success or refusal.

use http::{HeaderMap, StatusCode};

use crate::clock::Moment;
use crate::limits::Observed;
use crate::pool::Lease;
use crate::pool::keys::refresh::new_lane;
use crate::provider::{Limit, ModelId};

impl Lease {
    /// Records the information about the key in the head of a response: the account that the request was
    /// counted for, where the provider names it (OpenAI, Anthropic), and the remainder of each limit. Keys
    /// whose responses name the same account share its limits from then on, unless their accounts were
    /// declared. A key whose limit is used up is not leased again before the limit is back.
    ///
    /// `model` is the model of the request, whose limits these are. If it is unknown, they apply to all
    /// models.
    ///
    /// The rotation layer calls this for every response. Without the layer, call it before the lease is
    /// settled.
    pub fn observe(&mut self, status: StatusCode, headers: &HeaderMap, model: Option<&ModelId>) {
        self.observe_at(status, headers, || model.cloned(), Moment::now());
    }

    /// Records the head of a response. `model` is called only if the response reports limits.
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
            self.enter(new_lane(&self.set, &model, answered.into()));
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
        // A thread that clears ready bits for a used-up limit asks the ledger again afterwards, and the
        // ledger admits one thread at a time. So either that look comes later than this update, or the
        // cleared bits are visible here.
        if !is_open || !place.shows_account() {
            place.follow(place.home(), answered.as_unix_ms());
        }
        set.common.freed.tell();
        place.warn(&alarms);
    }
}
