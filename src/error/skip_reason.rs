//! Why a link did not serve a request.

use std::fmt;

use crate::classify::Fault;
use crate::error::stop_reason::StopReason;

/// Why a link did not serve the request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// It has failed too often; skipped without a call.
    BreakerOpen,
    /// The request is too long for its model.
    ContextLength,
    /// It failed.
    Fault(Fault),
    /// Its keys were tried, or are all cooling.
    Keys(StopReason),
    /// Its route knows no such model; skipped without a call.
    NoModel,
    /// It did not become ready, or refused the request's URL.
    NotReady,
    /// A layer inside shed the request, as it has as many under way as it takes. Nothing was sent, and neither the
    /// provider nor a key is to blame.
    Shed,
    /// The request's body can't be sent again, or not with another model's name in it.
    NotReplayable,
    /// Its route can't take the request: the model to rename is nowhere to be found, or the URL is none.
    Unroutable,
}

// === impl LeftBecause ===

impl SkipReason {
    /// The name in events: the reason of a fault, what [`StopReason::as_str`] says of keys, or the variant's name in
    /// snake case.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker_open",
            Self::ContextLength => "context_length",
            Self::Fault(fault) => fault.reason().as_str(),
            Self::Keys(stop_reason) => stop_reason.as_str(),
            Self::NoModel => "no_model",
            Self::NotReady => "not_ready",
            Self::Shed => "load_shed",
            Self::NotReplayable => "not_replayable",
            Self::Unroutable => "unroutable",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BreakerOpen => f.write_str("skipped, it has failed too often"),
            Self::ContextLength => f.write_str("the request is too long for its model"),
            Self::Fault(fault) => fault.fmt(f),
            Self::Keys(stop_reason) => stop_reason.fmt(f),
            Self::NoModel => f.write_str("skipped, its route has no such model"),
            Self::NotReady => f.write_str("the client is not ready, or may not send there"),
            Self::NotReplayable => f.write_str("the body can't be sent again"),
            Self::Shed => f.write_str("a layer inside shed the request"),
            Self::Unroutable => f.write_str("its route can't take the request"),
        }
    }
}
