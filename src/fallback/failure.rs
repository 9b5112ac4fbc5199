//! Every provider's failure, and what they come to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower::BoxError;

use crate::classify::{Fault, Reason};
use crate::error::{AllKeysFailed, GaveUp, LastResponse};
use crate::rotate::Attempt;

/// No provider of a chain could serve the request.
///
/// Has one entry for each link that was asked or skipped, in the order in which that happened, and the
/// shortest true time after which it is worth trying again.
pub struct AllProvidersFailed {
    pub(super) failures: Vec<ProviderFailed>,
    pub(super) deadline_passed: bool,
}

/// A request is [pinned](crate::fallback::Pin) to a link that the chain does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request is pinned to {pinned:?}, which is no link of the chain: it has {}", links.join(", "))]
pub struct UnknownLink {
    pub(super) pinned: Arc<str>,
    pub(super) links: Vec<Arc<str>>,
}

/// What became of a request at one link.
pub struct ProviderFailed {
    pub(super) provider: Arc<str>,
    pub(super) because: LeftBecause,
    pub(super) attempts: Vec<Attempt>,
    pub(super) retry_after: Option<Duration>,
    /// See [`AllKeysFailed`].
    pub(super) wait: Option<Duration>,
    /// See [`AllKeysFailed::exhausted_by`].
    pub(super) exhausted_by: Option<Reason>,
    pub(super) last_response: Option<LastResponse>,
    pub(super) source: Option<BoxError>,
}

/// Why a link did not serve the request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftBecause {
    /// It has failed too often; skipped without a call.
    BreakerOpen,
    /// The request is too long for its model.
    ContextLength,
    /// It failed.
    Fault(Fault),
    /// Its keys were tried, or are all cooling.
    Keys(GaveUp),
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

// === impl AllProvidersFailed ===

impl AllProvidersFailed {
    /// The links, in the order in which they were asked or skipped.
    pub fn providers(&self) -> &[ProviderFailed] {
        &self.failures
    }

    /// Every attempt, in order.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.failures.iter().flat_map(ProviderFailed::attempts)
    }

    /// The shortest time until it is worth trying again, as of the failure. `None` if a provider may serve at once, or
    /// if time does not help or is unknown.
    pub fn retry_after(&self) -> Option<Duration> {
        let waits = self.failures.iter().filter_map(|failed| failed.retry_after);
        waits.min().filter(|wait| !wait.is_zero())
    }

    /// Whether the deadline ended the request.
    pub const fn deadline_passed(&self) -> bool {
        self.deadline_passed
    }

    /// Whether a call may have been executed, and billed, although no complete response came. Sending the request
    /// again may be paid twice.
    pub fn may_have_run(&self) -> bool {
        self.failures.iter().any(ProviderFailed::may_have_run)
    }
}

// === impl UnknownLink ===

impl UnknownLink {
    /// The name to which the request is pinned.
    pub fn pinned(&self) -> &str {
        &self.pinned
    }

    /// The names of the chain's links.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|link| &**link)
    }
}

impl fmt::Display for AllProvidersFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no provider could serve the request")?;
        if self.deadline_passed {
            f.write_str(" before its deadline")?;
        }
        self.failures.iter().try_for_each(|failed| write!(f, "; {failed}"))?;
        match self.retry_after() {
            Some(wait) => write!(f, "; try again in {wait:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for AllProvidersFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failures, deadline_passed } = self;
        f.debug_struct("AllProvidersFailed")
            .field("failures", failures)
            .field("deadline_passed", deadline_passed)
            .finish()
    }
}

impl std::error::Error for AllProvidersFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.failures.iter().rev().find_map(|failed| failed.source.as_ref())?;
        Some(&**source)
    }
}

// === impl ProviderFailed ===

impl ProviderFailed {
    pub(super) const fn new(provider: Arc<str>, because: LeftBecause) -> Self {
        Self {
            provider,
            because,
            attempts: Vec::new(),
            retry_after: None,
            wait: None,
            exhausted_by: None,
            last_response: None,
            source: None,
        }
    }

    pub(super) fn keys(provider: Arc<str>, failed: AllKeysFailed) -> Self {
        let AllKeysFailed {
            gave_up,
            mut attempts,
            retry_after,
            wait,
            exhausted_by,
            last_response,
            source,
            ..
        } = failed;
        attempts.iter_mut().for_each(|attempt| attempt.provider = Arc::clone(&provider));
        Self {
            provider,
            because: LeftBecause::Keys(gave_up),
            attempts,
            retry_after,
            wait,
            exhausted_by,
            last_response,
            source,
        }
    }

    /// What the link brought when it was asked once more.
    pub(super) fn then(&mut self, later: Self) {
        let before = std::mem::take(&mut self.attempts);
        *self = later;
        self.attempts.splice(..0, before);
    }

    /// The link's name.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Why it did not serve the request.
    pub const fn because(&self) -> &LeftBecause {
        &self.because
    }

    /// The attempts with its keys, in order; none if it was skipped or has no keys of ours.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The time until it is worth trying again, as of the failure. `None` if the provider may serve at once, or if
    /// time does not help or is unknown.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.filter(|wait| !wait.is_zero())
    }

    /// The last fault that was found.
    pub fn fault(&self) -> Option<&Fault> {
        match &self.because {
            LeftBecause::Fault(fault) => Some(fault),
            _ => self.attempts.last().map(|attempt| &attempt.fault),
        }
    }

    /// Whether one of its calls may have been executed, although no complete response came.
    pub(super) fn may_have_run(&self) -> bool {
        let cause = if let LeftBecause::Fault(fault) = &self.because { Some(fault) } else { None };
        self.attempts.iter().map(|attempt| &attempt.fault).chain(cause).any(Fault::is_ambiguous)
    }

    /// Why it was left, in one word: where the provider was at fault, its fault.
    pub(super) fn word(&self) -> &'static str {
        match (&self.because, self.fault()) {
            (LeftBecause::Keys(GaveUp::ProviderFault), Some(fault)) => fault.reason().as_str(),
            (because, _) => because.as_str(),
        }
    }
}

impl fmt::Display for ProviderFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provider, self.because)?;
        self.attempts.iter().try_for_each(|attempt| write!(f, ", {attempt}"))
    }
}

impl fmt::Debug for ProviderFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, because, attempts, retry_after, wait, exhausted_by, last_response, source } =
            self;
        f.debug_struct("ProviderFailed")
            .field("provider", provider)
            .field("because", because)
            .field("attempts", attempts)
            .field("retry_after", retry_after)
            .field("wait", wait)
            .field("exhausted_by", exhausted_by)
            .field("has_last_response", &last_response.is_some())
            .field("source", source)
            .finish()
    }
}

// === impl LeftBecause ===

impl LeftBecause {
    /// The name in events: the reason of a fault, what [`GaveUp::as_str`] says of keys, or the variant's name in
    /// snake case.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker_open",
            Self::ContextLength => "context_length",
            Self::Fault(fault) => fault.reason().as_str(),
            Self::Keys(gave_up) => gave_up.as_str(),
            Self::NoModel => "no_model",
            Self::NotReady => "not_ready",
            Self::Shed => "load_shed",
            Self::NotReplayable => "not_replayable",
            Self::Unroutable => "unroutable",
        }
    }
}

impl fmt::Display for LeftBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BreakerOpen => f.write_str("skipped, it has failed too often"),
            Self::ContextLength => f.write_str("the request is too long for its model"),
            Self::Fault(fault) => fault.fmt(f),
            Self::Keys(gave_up) => gave_up.fmt(f),
            Self::NoModel => f.write_str("skipped, its route has no such model"),
            Self::NotReady => f.write_str("the client is not ready, or may not send there"),
            Self::NotReplayable => f.write_str("the body can't be sent again"),
            Self::Shed => f.write_str("a layer inside shed the request"),
            Self::Unroutable => f.write_str("its route can't take the request"),
        }
    }
}
