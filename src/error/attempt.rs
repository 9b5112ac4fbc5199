//! One attempt that failed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::classify::Fault;
use crate::key::KeyId;

/// One failed attempt of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The provider's name, or that of its link in a chain.
    pub provider: Arc<str>,
    /// The key that was used. `None` if the link has no keys, or if the deadline of a chain ended the attempt.
    pub key: Option<KeyId>,
    /// Status of the provider's response. `None` if no response came.
    pub status: Option<StatusCode>,
    /// The fault: its reason, its scope, and the wait that the provider stated.
    pub fault: Fault,
    /// Length of the cooldown that the failure started for the key, or for a scope that the key shares. `None` if
    /// it started no cooldown.
    pub cooldown: Option<Duration>,
    /// Time from sending the request to the verdict.
    pub duration: Duration,
}

// === impl Attempt ===

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, key, status, fault, cooldown: _, duration } = self;
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
