//! Verdicts: the output of a classifier.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::classify::{Fault, Scope, Why};

/// The classified outcome of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The provider served the request.
    Success,
    /// The attempt failed, and the caller is not at fault.
    Fault(Fault),
    /// The request itself is at fault. The response is delivered untouched, no key is blamed, and nothing is
    /// retried.
    Rejected(Rejection),
    /// Not decided yet: the classifier needs the next event of the stream.
    Inspect,
}

/// Reason for which a request was rejected, whichever key sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejection {
    /// A content policy rejected the request.
    ContentFilter,
    /// The request is longer than the model's context window.
    ContextLength,
    /// The request is malformed, has too many bytes, or asks for something that does not exist.
    Invalid,
    /// The request asks for more than the limit of the account itself, so waiting cannot help.
    TooLarge,
    /// The response does not tell whether the request is at fault or the account: the model does not exist
    /// *or* may not be used, or the sentences contradict each other. One other account is tried. If it
    /// responds alike, the response is delivered and nothing is remembered.
    Unclear,
}

// === impl Verdict ===

impl Verdict {
    /// Returns the fault, if the verdict is one.
    pub const fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            Self::Success | Self::Rejected(_) | Self::Inspect => None,
        }
    }

    /// Returns the scope that the verdict concerns.
    ///
    /// [`Rejection::TooLarge`] concerns the account for the model, since an account with a larger limit could
    /// have served the request. All other verdicts that are not faults have [`Scope::None`].
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Fault(fault) => fault.scope(),
            Self::Rejected(Rejection::TooLarge) => Scope::AccountModel,
            Self::Success | Self::Rejected(_) | Self::Inspect => Scope::None,
        }
    }

    /// Returns the same verdict with the reason for it. Only a fault has one.
    #[must_use]
    pub(crate) fn with_why(self, why: Why) -> Self {
        match self {
            Self::Fault(fault) => Self::Fault(fault.with_why(why)),
            other => other,
        }
    }

    /// Returns the verdict as one word, as in logs: `success`, `request_error`, `inspect`, or the reason of
    /// the fault.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Fault(fault) => fault.reason().as_str(),
            Self::Rejected(_) => "request_error",
            Self::Inspect => "inspect",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Success | Self::Rejected(_) | Self::Inspect => f.write_str(self.as_str()),
        }
    }
}

impl From<Fault> for Verdict {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
