//! The log of calls, and their counts.

use std::collections::{BTreeMap, VecDeque};

use http::StatusCode;
use tokio::time::Instant;

use crate::script::SimFault;

/// Maximum number of calls that the log keeps: 10,000. Each further call drops the oldest. Counts are not
/// affected.
pub const LOG_CAPACITY: usize = 10_000;

/// One call, as the provider saw it.
///
/// Returned by [`Simulator::log`](crate::Simulator::log).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// Time at which the head of the request arrived.
    pub at: Instant,
    /// Label of the key. `None` if the key is unknown or missing. Never the secret.
    pub key: Option<String>,
    /// Path of the request, without the query.
    pub path: String,
    /// Model that the request names, if any.
    pub model: Option<String>,
    /// Status of the response, as decided when the request had arrived. `None` if the call got no response
    /// head.
    pub status: Option<StatusCode>,
    /// The fault of a script, or the refusal by a limit or because of the request itself. `None` if the call
    /// was served.
    pub fault: Option<SimFault>,
    /// Whether the request asked for a stream.
    pub streamed: bool,
    /// Whether a credential arrived in any place other than the one the key was taken from. The places that
    /// are checked include those from which this provider never takes keys.
    pub foreign_credentials: bool,
    /// Value of the `Idempotency-Key` header, if any.
    pub idempotency_key: Option<String>,
    /// Whether the request body arrived whole, with the length that its head announced.
    pub body_complete: bool,
}

/// Number of calls, in total and by status.
///
/// Returned by [`Simulator::tally`](crate::Simulator::tally) and [`KeyHandle::tally`](crate::KeyHandle::tally).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Number of all calls.
    pub total: u64,
    /// Number of calls by the status of their response.
    pub by_status: BTreeMap<u16, u64>,
    /// Number of calls that got no response head: the connection was reset or refused, the provider stayed
    /// silent, or the call was dropped before its request had arrived.
    pub unanswered: u64,
}

/// The latest calls.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    /// At most [`LOG_CAPACITY`] calls, oldest first.
    calls: VecDeque<Call>,
}

// === impl Tally ===

impl Tally {
    /// Returns the number of calls whose response had `status`.
    pub fn with(&self, status: StatusCode) -> u64 {
        self.by_status.get(&status.as_u16()).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, status: Option<StatusCode>) {
        self.total += 1;
        match status {
            Some(status) => *self.by_status.entry(status.as_u16()).or_default() += 1,
            None => self.unanswered += 1,
        }
    }
}

// === impl CallLog ===

impl CallLog {
    pub(crate) fn push(&mut self, call: Call) {
        if self.calls.len() == LOG_CAPACITY {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub(crate) fn to_vec(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.calls.clear();
    }
}
