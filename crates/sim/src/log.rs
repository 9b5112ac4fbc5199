//! What arrived, and what became of it.

use std::collections::{BTreeMap, VecDeque};

use http::StatusCode;
use tokio::time::Instant;

use super::fault::Fault;

/// Calls the log keeps; then the oldest goes for each that comes. Counts go on.
pub const LOG_CAPACITY: usize = 10_000;

/// One call, as the provider saw it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// When the head of the request arrived.
    pub at: Instant,
    /// The label of the key; `None` for an unknown or a missing one. Never the secret.
    pub key: Option<String>,
    /// The path, without the query.
    pub path: String,
    /// The model that was asked for.
    pub model: Option<String>,
    /// The status that was sent; `None` if there was no head, or none yet.
    pub status: Option<StatusCode>,
    /// What went wrong, by a script, by limits or by the request's own fault.
    pub fault: Option<Fault>,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// Whether a credential arrived in a carrier beside the one the key was taken from, or in one
    /// that is not this provider's at all.
    pub foreign_credentials: bool,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Whether the request body arrived to its end, and with the length its head announced.
    pub body_complete: bool,
}

/// Calls by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// All calls.
    pub total: u64,
    /// Calls by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Calls that got no head: reset, silent, cancelled before it.
    pub unanswered: u64,
}

#[derive(Debug, Default)]
pub(super) struct CallLog {
    /// At most [`LOG_CAPACITY`], oldest first.
    calls: VecDeque<Call>,
}

// === impl Tally ===

impl Tally {
    /// Calls answered with `status`.
    pub fn with(&self, status: StatusCode) -> u64 {
        self.by_status.get(&status.as_u16()).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, status: Option<StatusCode>) {
        self.total += 1;
        match status {
            Some(status) => *self.by_status.entry(status.as_u16()).or_default() += 1,
            None => self.unanswered += 1,
        }
    }
}

// === impl CallLog ===

impl CallLog {
    pub(super) fn push(&mut self, call: Call) {
        if self.calls.len() == LOG_CAPACITY {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub(super) fn to_vec(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.calls.clear();
    }
}
