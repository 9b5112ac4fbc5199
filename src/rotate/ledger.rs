//! What was tried for a request, and who served it.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::classify::{Fault, Verdict};
use crate::key::KeyId;
use crate::provider::{ModelId, Provider};

/// One attempt that did not bring what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The key that was used.
    pub key: KeyId,
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
    key: KeyId,
    model: Option<ModelId>,
    verdict: Verdict,
    attempts: Vec<Attempt>,
}

// === impl Attempt ===

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, status, fault, benched: _, duration } = self;
        write!(f, "{key}: {fault}")?;
        if let Some(status) = status {
            write!(f, ", status {}", status.as_u16())?;
        }
        write!(f, ", after {} ms", duration.as_millis())
    }
}

// === impl Served ===

impl Served {
    pub(super) fn new(
        provider: Provider,
        key: KeyId,
        model: Option<ModelId>,
        verdict: Verdict,
        attempts: Vec<Attempt>,
    ) -> Self {
        Self { provider, key, model, verdict, attempts }
    }

    /// The provider's name.
    pub fn provider(&self) -> &str {
        self.provider.name()
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

    /// The attempts before this one, in their order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }
}
