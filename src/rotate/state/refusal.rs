//! Refusals that may be the fault of a key or of the request.

use http::StatusCode;

use crate::classify::{Fault, Reason, Scope};
use crate::pool::ProvisionalCooldown;

/// A refusal that may be the fault of a key or of the request.
pub(in crate::rotate) struct Refusal {
    pub(in crate::rotate) kind: RefusalKind,
    /// The key served other requests lately.
    pub(in crate::rotate) proven: bool,
    /// `None`: nothing is remembered of it.
    pub(in crate::rotate) provisional: Option<ProvisionalCooldown>,
    /// Which of the request's attempts it ended.
    pub(in crate::rotate) attempt: usize,
}

/// Refusals are alike that have the same status, reason and scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rotate) struct RefusalKind(Option<StatusCode>, Reason, Scope);

// === impl Kind ===

impl RefusalKind {
    /// `None`: the fault does not concern keys, or it is a 429, which counts what other requests used as well.
    pub(in crate::rotate) fn of(fault: &Fault, status: Option<StatusCode>) -> Option<Self> {
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
    pub(in crate::rotate) fn is_of_error_status(self) -> bool {
        self.0.is_some_and(|status| !status.is_success())
    }

    pub(in crate::rotate) const fn reason(self) -> Reason {
        self.1
    }
}
