//! Refusals that may be the fault of a key or of the request.

use http::StatusCode;

use crate::classify::{Fault, Reason, Scope};
use crate::pool::Doubt;

/// A refusal that may be the fault of a key or of the request.
pub(super) struct Refusal {
    pub(super) kind: Kind,
    /// The key served other requests lately.
    pub(super) proven: bool,
    /// `None`: nothing is remembered of it.
    pub(super) doubt: Option<Doubt>,
    /// Which of the request's attempts it ended.
    pub(super) attempt: usize,
}

/// Refusals are alike that have the same status, reason and scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(Option<StatusCode>, Reason, Scope);

// === impl Kind ===

impl Kind {
    /// `None`: the fault does not concern keys, or it is a 429, which counts what other requests used as well.
    pub(super) fn of(fault: &Fault, status: Option<StatusCode>) -> Option<Self> {
        let is_of_keys = match fault.reason() {
            Reason::InvalidKey | Reason::Forbidden => true,
            Reason::QuotaExceeded => status != Some(StatusCode::TOO_MANY_REQUESTS),
            _ => false,
        };
        let (scope, reason) = (fault.scope(), fault.reason());
        (is_of_keys && !scope.is_provider() && scope != Scope::None).then_some(Self(status, reason, scope))
    }

    /// Whether the response says itself that it is an error, so that it may be delivered: one that came as an event
    /// of a success does not.
    pub(super) fn is_of_error_status(self) -> bool {
        self.0.is_some_and(|status| !status.is_success())
    }

    pub(super) const fn reason(self) -> Reason {
        self.1
    }
}
