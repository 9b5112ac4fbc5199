//! What was tried for a request, and who served it.

use std::sync::Arc;

use http::{Response, StatusCode};

use crate::body::meter::Usage;
use crate::body::{StreamErrorKind, UsageSlot};
use crate::classify::{Fault, Verdict};
use crate::clock::Moment;
use crate::error::Attempt;
use crate::key::KeyId;
use crate::provider::{ModelId, Provider};

/// A response extension: who served the request, and what was tried before.
#[derive(Clone, Debug)]
pub struct Served {
    provider: Provider,
    /// What a chain calls the provider.
    link: Option<Arc<str>>,
    key: KeyId,
    model: Option<ModelId>,
    verdict: Verdict,
    attempts: Vec<Attempt>,
    /// Filled by the body of the answer when it has come to its end.
    usage: UsageSlot,
    /// The body is guarded as the chain around the layer wants it.
    guarded: bool,
    /// When the attempt that served it began.
    began: Moment,
}

// === impl Served ===

impl Served {
    pub(crate) fn new(
        provider: Provider,
        key: KeyId,
        model: Option<ModelId>,
        verdict: Verdict,
        attempts: Vec<Attempt>,
        usage: UsageSlot,
        began: Moment,
    ) -> Self {
        Self { provider, link: None, key, model, verdict, attempts, usage, guarded: false, began }
    }

    /// The provider's name, or that of its link in a chain.
    pub fn provider(&self) -> &str {
        self.link.as_deref().unwrap_or_else(|| self.provider.name())
    }

    /// The key that served the request.
    pub const fn key_id(&self) -> &KeyId {
        &self.key
    }

    /// The model, where it was looked for: a request that is served at the first attempt by a pool in which
    /// no model was ever at fault is not read.
    pub const fn model(&self) -> Option<&ModelId> {
        self.model.as_ref()
    }

    /// What the classifier said of the answer.
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The tokens that the answer took, where its provider says: known when the body has been read to its end or
    /// dropped. Keep a clone of this to look then.
    pub fn usage(&self) -> Option<Usage> {
        self.usage.get()
    }

    /// How the response failed after it was handed over, if it did: known when the body is over, to each clone
    /// of this. A body that its reader left has not failed.
    pub fn stream_error(&self) -> Option<StreamErrorKind> {
        self.usage.error()
    }

    /// The attempts before this one, in their order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Where the body is to leave its usage.
    pub(crate) fn usage_slot(&self) -> UsageSlot {
        self.usage.clone()
    }

    /// The same, of a response that may be none of a rotation layer's.
    pub(crate) fn usage_slot_of<T>(response: &Response<T>) -> UsageSlot {
        response.extensions().get().map_or_else(UsageSlot::default, Self::usage_slot)
    }

    pub(crate) const fn usage_cell_ref(&self) -> &UsageSlot {
        &self.usage
    }

    /// The body is guarded as a chain wants it.
    pub(crate) const fn set_guarded(&mut self) {
        self.guarded = true;
    }

    pub(crate) const fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// Names the link, and puts what other links tried before.
    pub(crate) fn in_chain(&mut self, link: Arc<str>, before: impl IntoIterator<Item = Attempt>) {
        self.attempts.iter_mut().for_each(|attempt| attempt.provider = Arc::clone(&link));
        self.attempts.splice(..0, before);
        self.link = Some(link);
    }

    /// The response failed before it was handed over: what was tried, this attempt included.
    pub(crate) fn into_failed(self, link: &Arc<str>, status: StatusCode, fault: &Fault) -> Vec<Attempt> {
        let Self { key, mut attempts, began, .. } = self;
        let duration = Moment::now().saturating_since(began);
        attempts.push(Attempt {
            provider: Arc::clone(link),
            key: Some(key),
            status: Some(status),
            fault: fault.clone(),
            benched: None,
            duration,
        });
        attempts.iter_mut().for_each(|attempt| attempt.provider = Arc::clone(link));
        attempts
    }
}
