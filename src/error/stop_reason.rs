//! The reason for which rotation stopped.

use std::fmt;

/// The reason for which rotation made no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// The request has reached its maximum number of attempts.
    AttemptLimit,
    /// The request's [`Deadline`](crate::Deadline) has passed.
    Deadline,
    /// No other key is usable.
    Exhausted,
    /// No key of the pool may be used for the model or the endpoint of the request
    /// ([`ApiKey::only_models`](crate::ApiKey::only_models),
    /// [`ApiKey::only_endpoints`](crate::ApiKey::only_endpoints)). Nothing was sent.
    NoKeyMayServe,
    /// The request's body can't be sent again.
    NotReplayable,
    /// The provider failed regardless of the key, and a retry was not allowed or failed too.
    ProviderFault,
    /// Two keys in good standing were refused alike. The request is the likely cause, so no other key of the
    /// provider was tried.
    RefusedAlike,
    /// The pool declares limits or keys for single models, and the model of the request can't be read. The body is
    /// compressed, is neither valid JSON nor a form, names no possible model, or is longer than the replay cap and
    /// names none before it. Nothing was sent.
    UnreadableModel,
}

// === impl StopReason ===

impl StopReason {
    /// Returns the name used in machine-readable responses and events, in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttemptLimit => "attempt_limit",
            Self::Deadline => "deadline",
            Self::Exhausted => "exhausted",
            Self::NoKeyMayServe => "no_key_may_serve",
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
            Self::NoKeyMayServe => {
                "no key may be used for its model or endpoint: allow one to, or ask for another"
            }
            Self::NotReplayable => "the body is too long to be sent again; raise the replay cap",
            Self::ProviderFault => "the provider is at fault, another key can't help",
            Self::RefusedAlike => {
                "two keys in good standing were refused alike: see what the request asks for"
            }
            Self::UnreadableModel => {
                "limits or keys are declared for models, and the body does not say which model it is for: \
                 send it uncompressed, as valid JSON or a form with one model"
            }
        })
    }
}
