//! What was tried for a request, and who served it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};

use crate::body::meter::Usage;
use crate::body::{StreamErrorKind, UsageSlot};
use crate::classify::{Fault, Verdict};
use crate::clock::Moment;
use crate::key::KeyId;
use crate::provider::{ModelId, Provider};

/// One attempt that did not bring what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The provider that was asked: its name, or that of its link in a chain.
    pub provider: Arc<str>,
    /// The key that was used. `None`: the link has no keys, or the deadline of a chain ended the attempt.
    pub key: Option<KeyId>,
    /// What the provider answered, if it did.
    pub status: Option<StatusCode>,
    /// Why it failed, whom that concerns, and what the provider said of how long.
    pub fault: Fault,
    /// How long the key, or what it shares, is benched for it.
    pub benched: Option<Duration>,
    /// From sending the request to the verdict.
    pub duration: Duration,
}

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

// === impl Attempt ===

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, key, status, fault, benched: _, duration } = self;
        f.write_str(provider)?;
        if let Some(key) = key {
            write!(f, "/{key}")?;
        }
        write!(f, ": {fault}")?;
        if let Some(status) = status {
            write!(f, ", status {}", status.as_u16())?;
        }
        write!(f, ", after {} ms", duration.as_millis())
    }
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
}

// === for whoever guards the body ===

impl Served {
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
}

// === for a chain around the layer ===

impl Served {
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
