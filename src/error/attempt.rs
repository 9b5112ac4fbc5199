//! One attempt that failed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::classify::Fault;
use crate::key::KeyId;

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
