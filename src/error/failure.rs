//! The kind of failure that an error is for a caller: its status and its code.

use http::StatusCode;

use crate::classify::Reason;
use crate::error::stop_reason::StopReason;

/// The kind of failure that a caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The deadline passed.
    Deadline,
    /// A provider did not respond in time.
    Timeout,
    /// Limits that clear with time.
    RateLimit,
    /// Limits that clear with a payment, or only after a long time.
    Quota,
    /// All keys are invalid, not allowed or disabled.
    NoUsableKey,
    /// A provider, or a layer inside, has no capacity.
    Overloaded,
    /// No key may be used for the model or the endpoint.
    NoKeyMayServe,
    /// Limits depend on the model, and the request does not state its model unambiguously.
    UnreadableModel,
    /// No provider of the chain has the endpoint.
    NoEndpoint,
    /// The chain can't map the request to a provider's URL.
    Unroutable,
    /// Any other failure, with its code.
    Other(&'static str),
}

// === impl Failure ===

impl Failure {
    /// Returns the failure for a stop reason and the reason of the pool, or else of the last attempt.
    pub(super) fn of_keys(
        stop_reason: StopReason,
        exhausted_by: Option<Reason>,
        last: Option<Reason>,
    ) -> Self {
        match (stop_reason, exhausted_by.or(last)) {
            (StopReason::Deadline, _) => Self::Deadline,
            (StopReason::NoKeyMayServe, _) => Self::NoKeyMayServe,
            (StopReason::UnreadableModel, _) => Self::UnreadableModel,
            (StopReason::Exhausted, None) => Self::RateLimit,
            (_, Some(reason)) => Self::of(reason).unwrap_or(Self::Other(stop_reason.as_str())),
            (_, None) => Self::Other(stop_reason.as_str()),
        }
    }

    /// Returns the failure for the reason of a fault. `None` if the reason has no code of its own.
    pub(super) const fn of(reason: Reason) -> Option<Self> {
        match reason {
            Reason::Forbidden | Reason::InvalidKey => Some(Self::NoUsableKey),
            Reason::Overloaded => Some(Self::Overloaded),
            Reason::QuotaExceeded => Some(Self::Quota),
            Reason::RateLimited => Some(Self::RateLimit),
            Reason::Timeout => Some(Self::Timeout),
            Reason::Blocked | Reason::ServerError | Reason::Truncated | Reason::Unreachable => None,
        }
    }

    pub(super) const fn is_limit(self) -> bool {
        matches!(self, Self::RateLimit | Self::Quota)
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Deadline | Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::RateLimit | Self::Quota => StatusCode::TOO_MANY_REQUESTS,
            Self::NoKeyMayServe => StatusCode::NOT_FOUND,
            Self::UnreadableModel => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoEndpoint => StatusCode::NOT_FOUND,
            Self::Unroutable => StatusCode::BAD_REQUEST,
            Self::NoUsableKey | Self::Overloaded | Self::Other(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Timeout => "timeout",
            Self::RateLimit => "rate_limit_exceeded",
            Self::Quota => "insufficient_quota",
            Self::NoUsableKey => "no_usable_key",
            Self::Overloaded => "overloaded",
            Self::NoKeyMayServe => "no_key_may_serve",
            Self::UnreadableModel => "unreadable_model",
            Self::NoEndpoint => "unsupported_endpoint",
            Self::Unroutable => "unroutable",
            Self::Other(code) => code,
        }
    }

    /// Returns the next step of the operator or the caller.
    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::Deadline => "raise the deadline, or ask for a shorter response",
            Self::Timeout => "try again, or raise the time limit that was reached",
            Self::RateLimit => "wait, or add keys of another account",
            Self::Quota => "add credit to the account, or keys of another account",
            Self::NoUsableKey => {
                "check the provider's keys, and replace those that are revoked or may not do this"
            }
            Self::Overloaded => "try again",
            Self::NoKeyMayServe => "use another model or path, or add a key that may be used for it",
            Self::UnreadableModel => "send the body uncompressed, with one model",
            Self::NoEndpoint => "use another path, or add the endpoint to a provider that has it",
            Self::Unroutable => "check the path and the model of the request",
            Self::Other(_) => {
                "the sources of the error have the cause, and the log has each attempt at level DEBUG"
            }
        }
    }

    /// Returns whether the same request may succeed later.
    pub(super) const fn may_pass(self) -> bool {
        !matches!(
            self,
            Self::Quota
                | Self::NoUsableKey
                | Self::NoKeyMayServe
                | Self::UnreadableModel
                | Self::NoEndpoint
                | Self::Unroutable
        )
    }
}
