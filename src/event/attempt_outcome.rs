//! The outcome of one attempt, as events name it.

use serde::{Serialize, Serializer};

use crate::classify::{Reason, Rejection, Verdict};

/// The outcome of one attempt, as part of [`EventKind::Attempt`](crate::event::EventKind::Attempt).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// The provider served the request.
    Success,
    /// The provider rejected the request because of its content, which is the caller's fault.
    Rejected(Rejection),
    /// The attempt failed with a fault.
    Failed(Reason),
    /// The response was not awaited: the caller went away, the request body failed, or the deadline passed.
    /// The provider may have run the request all the same.
    Abandoned,
}

// === impl AttemptOutcome ===

impl AttemptOutcome {
    /// Returns the outcome as one word: `success`, `request_error`, `abandoned`, or the reason of the fault.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Rejected(_) => "request_error",
            Self::Failed(reason) => reason.as_str(),
            Self::Abandoned => "abandoned",
        }
    }

    /// Returns the word for log lines. `None` for a success.
    pub(super) fn error(self) -> Option<&'static str> {
        (self != Self::Success).then(|| self.as_str())
    }
}

impl From<&Verdict> for AttemptOutcome {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Success | Verdict::Inspect => Self::Success,
            Verdict::Rejected(rejection) => Self::Rejected(*rejection),
            Verdict::Fault(fault) => Self::Failed(fault.reason()),
        }
    }
}

impl Serialize for AttemptOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
