//! The reason for which rotation stopped.

use std::fmt;

/// Why no more was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// As many attempts as one request may have were made.
    AttemptLimit,
    /// The caller's deadline has passed.
    Deadline,
    /// No other key is usable.
    Exhausted,
    /// The request's body can't be sent again.
    NotReplayable,
    /// The provider failed, whichever key is used, and a retry was not allowed or failed too.
    ProviderFault,
    /// Two keys in good standing were refused alike, so that no other key of the provider was tried.
    RefusedAlike,
    /// The pool declares limits for single models, and the model of the request can't be read: its body is compressed,
    /// no valid JSON and no form, names no possible model, or is longer than the replay cap and names none before.
    /// Nothing was sent.
    UnreadableModel,
}

// === impl StopReason ===

impl StopReason {
    /// The name in machine-readable answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttemptLimit => "attempt_limit",
            Self::Deadline => "deadline",
            Self::Exhausted => "exhausted",
            Self::NotReplayable => "not_replayable",
            Self::ProviderFault => "provider_fault",
            Self::RefusedAlike => "refused_alike",
            Self::UnreadableModel => "unreadable_model",
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AttemptLimit => "the limit of attempts was reached",
            Self::Deadline => "the deadline has passed",
            Self::Exhausted => "no other key is usable",
            Self::NotReplayable => "the body is too long to be sent again; raise the replay cap",
            Self::ProviderFault => "the provider is at fault, another key can't help",
            Self::RefusedAlike => {
                "two keys in good standing were refused alike: see what the request asks for"
            }
            Self::UnreadableModel => {
                "limits are declared for models, and the body does not say which model it is for: \
                 send it uncompressed, as valid JSON or a form with one model"
            }
        })
    }
}
