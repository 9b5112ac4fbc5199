//! Accounting that stays open until the response body ends: the tokens of a request, and its place.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::body::meter::Usage;
use crate::body::{Settle, StreamErrorKind};
use crate::clock::Moment;
use crate::event::{EventKind, Severity};
use crate::limits::Cost;
use crate::pool::Lease;
use crate::pool::acquire::reserve::{correct, leave};
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::model::ModelState;
use crate::pool::lease::in_flight::InFlight;
use crate::provider::ModelId;

/// The accounting of a response, from its commit to the end of its body: afterwards nothing of it is left, although the
/// caller may keep what it learned of the response for long. Dropping it means that the caller gave up the body.
pub(crate) struct UsageSettlement(Mutex<Option<OpenAccount>>);

/// An accounting that is open. Dropping it frees the place; the estimated tokens stay counted.
struct OpenAccount {
    /// Counts the request as in flight while this value exists.
    set: InFlight,
    model_state: Option<Arc<ModelState>>,
    account: usize,
    cost: Cost,
    began: Moment,
    /// The model to name in events.
    model: Option<ModelId>,
}

// === impl UsageSettlement ===

impl UsageSettlement {
    /// Opens the accounting of a response. It counts as in flight in place of its lease.
    pub(in crate::pool) fn of(lease: &mut Lease) -> Self {
        Self(Mutex::new(Some(OpenAccount {
            set: lease.set.hand_over(),
            model_state: lease.model_state.clone(),
            account: lease.account,
            cost: lease.cost,
            began: lease.began,
            model: None,
        })))
    }

    /// Sets the model to name in events about the response.
    pub(crate) fn for_model(mut self, model: Option<ModelId>) -> Self {
        if let Some(account) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            account.model = model;
        }
        self
    }

    fn open(&self) -> MutexGuard<'_, Option<OpenAccount>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settle for UsageSettlement {
    fn wants_usage(&self) -> bool {
        true
    }

    fn settle(&self, usage: Option<Usage>) {
        let account = self.open().take();
        if let (Some(account), Some(usage)) = (account, usage) {
            account.count(usage);
        }
    }

    fn failed(&self, kind: StreamErrorKind) {
        if let Some(account) = &*self.open() {
            account.report(kind);
        }
    }
}

// === impl OpenAccount ===

impl OpenAccount {
    fn count(&self, usage: Usage) {
        let (candidate, now) = (self.candidate(), Moment::now());
        candidate.key().usage_counters.tokens(usage, now.into());
        if let Some(model_state) = &self.model_state {
            model_state.usage_counters.tokens(usage, now.into());
        }
        #[cfg(feature = "metrics")]
        {
            let model = self.model_state.as_deref().map(|model_state| &model_state.model);
            self.set.common.events.count_tokens(&self.set.common.name, model, &usage);
        }
        self.set.common.emit(Severity::Detail, || EventKind::Metered {
            key: candidate.key().id.clone(),
            model: self.model.clone().or_else(|| Some(self.model_state.as_ref()?.model.clone())),
            input_tokens: usage.input(),
            output_tokens: usage.output(),
        });
        let thought = self.cost.tokens();
        correct(candidate, thought, thought.corrected(usage), self.began, now);
    }

    fn report(&self, kind: StreamErrorKind) {
        self.set.common.emit(Severity::Change, || EventKind::StreamFailed {
            key: Some(self.candidate().key().id.clone()),
            model: self.model.clone(),
            reason: kind.as_str(),
        });
    }

    fn candidate(&self) -> Candidate<'_> {
        Candidate {
            set: &self.set,
            model: self.model_state.as_deref(),
            key: self.set.key(),
            account: self.account,
        }
    }
}

impl Drop for OpenAccount {
    fn drop(&mut self) {
        leave(self.candidate(), self.began);
    }
}

impl fmt::Debug for UsageSettlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.open();
        let key = open.as_ref().map(|OpenAccount { set, .. }| &set.keys[set.key()].id);
        f.debug_struct("UsageSettlement").field("key", &key).finish_non_exhaustive()
    }
}
