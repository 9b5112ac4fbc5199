//! The reason for which a link did not serve a request.

use std::fmt;

use crate::classify::Fault;
use crate::error::stop_reason::StopReason;
use crate::provider::Unroutable;

/// The reason for which a link of a chain did not serve the request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The link has failed too often and its breaker is open. It was skipped without a call.
    BreakerOpen,
    /// The request is too long for the link's model.
    ContextLength,
    /// The call failed.
    Fault(Fault),
    /// Rotation over the link's keys stopped: they were tried, or all are in cooldown.
    Keys(StopReason),
    /// The link does not have the endpoint of the request, and neither does any other link of the chain; or its
    /// [cloud](crate::cloud) does not.
    NoEndpoint,
    /// The link's route does not know the model. It was skipped without a call.
    NoModel,
    /// The link did not become ready, or refused the request's URL.
    NotReady,
    /// A layer inside shed the request, because it has reached its limit of concurrent requests. Nothing was sent,
    /// and neither the provider nor a key is at fault.
    Shed,
    /// The link has no such endpoint, model or object, which is less telling than what another link responded.
    NotFound,
    /// The request's body can't be sent again, or not with another model's name in it.
    NotReplayable,
    /// The link's route can't map the request: it finds no model to rename, or the resulting URL is invalid.
    Unroutable,
}

// === impl SkipReason ===

impl SkipReason {
    /// Returns the name used in events: the reason of a fault, [`StopReason::as_str`] for keys, otherwise the
    /// variant's name in snake case.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker_open",
            Self::ContextLength => "context_length",
            Self::Fault(fault) => fault.reason().as_str(),
            Self::Keys(stop_reason) => stop_reason.as_str(),
            Self::NoEndpoint => "no_endpoint",
            Self::NoModel => "no_model",
            Self::NotFound => "not_found",
            Self::NotReady => "not_ready",
            Self::Shed => "load_shed",
            Self::NotReplayable => "not_replayable",
            Self::Unroutable => "unroutable",
        }
    }
}

impl From<Unroutable> for SkipReason {
    fn from(unroutable: Unroutable) -> Self {
        match unroutable {
            Unroutable::NoModel => Self::NoModel,
            Unroutable::NotReplayable => Self::NotReplayable,
            Unroutable::NoEndpoint => Self::NoEndpoint,
            Unroutable::NotFound | Unroutable::Url | Unroutable::Streaming => Self::Unroutable,
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
            Self::NoEndpoint => f.write_str("it does not have this endpoint"),
            Self::NoModel => f.write_str("skipped, its route has no such model"),
            Self::NotFound => f.write_str("it has no such endpoint, model or object"),
            Self::NotReady => f.write_str("the client is not ready, or may not send there"),
            Self::NotReplayable => f.write_str("the body can't be sent again"),
            Self::Shed => f.write_str("a layer inside shed the request"),
            Self::Unroutable => f.write_str("its route can't take the request"),
        }
    }
}
