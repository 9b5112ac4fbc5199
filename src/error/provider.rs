//! The failure of one provider of a chain.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tower::BoxError;

use crate::classify::{Fault, Reason, Scope};
use crate::error::all_keys::AllKeysFailed;
use crate::error::attempt::Attempt;
use crate::error::failure::Failure;
use crate::error::last_response::LastResponse;
use crate::error::skip_reason::SkipReason;
use crate::error::stop_reason::StopReason;

/// The failure of one link of a chain, as part of an [`AllProvidersFailed`](crate::AllProvidersFailed).
pub struct ProviderFailed {
    pub(crate) provider: Arc<str>,
    pub(crate) because: SkipReason,
    pub(crate) attempts: Vec<Attempt>,
    /// Status of the response of a link without keys.
    pub(crate) status: Option<StatusCode>,
    pub(crate) retry_after: Option<Duration>,
    /// See [`AllKeysFailed`].
    pub(crate) wait: Option<Duration>,
    /// See [`AllKeysFailed::exhausted_by`].
    pub(crate) exhausted_by: Option<Reason>,
    pub(crate) last_response: Option<LastResponse>,
    pub(crate) source: Option<BoxError>,
}

// === impl ProviderFailed ===

impl ProviderFailed {
    pub(crate) const fn new(provider: Arc<str>, because: SkipReason) -> Self {
        Self {
            provider,
            because,
            attempts: Vec::new(),
            status: None,
            retry_after: None,
            wait: None,
            exhausted_by: None,
            last_response: None,
            source: None,
        }
    }

    pub(crate) fn keys(provider: Arc<str>, failed: AllKeysFailed) -> Self {
        let AllKeysFailed {
            stop_reason,
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
            because: SkipReason::Keys(stop_reason),
            attempts,
            status: None,
            retry_after,
            wait,
            exhausted_by,
            last_response,
            source,
        }
    }

    /// Creates the failure of a link during whose turn the deadline passed. `took` is the duration of its call,
    /// `None` if it was not called.
    pub(crate) fn cut_off(provider: Arc<str>, took: Option<Duration>) -> Self {
        let fault = Fault::new(Reason::Timeout, Scope::None).with_may_have_run(took.is_some());
        let mut failed = Self::new(provider, SkipReason::Fault(fault));
        if let Some(took) = took {
            failed.add_attempt(took);
        }
        failed
    }

    /// Adds the failed attempt of a link whose failure holds none, because no rotation layer is inside.
    pub(crate) fn add_attempt(&mut self, duration: Duration) {
        let SkipReason::Fault(fault) = &self.because else { return };
        if self.attempts.is_empty() {
            self.attempts.push(Attempt {
                provider: Arc::clone(&self.provider),
                key: None,
                status: self.status,
                fault: fault.clone(),
                cooldown: None,
                duration,
            });
        }
    }

    /// Replaces the failure by that of a later turn of the same link, and keeps the earlier attempts.
    pub(crate) fn then(&mut self, later: Self) {
        let before = std::mem::take(&mut self.attempts);
        *self = later;
        self.attempts.splice(..0, before);
    }

    /// Returns the link's name.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns the reason for which the link did not serve the request.
    pub const fn because(&self) -> &SkipReason {
        &self.because
    }

    /// Returns the attempts in order. Empty if the link was skipped. A link without keys has one attempt, without
    /// a key.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Returns the time until it is worth trying again, counted from the failure. `None` if the provider may serve
    /// at once, if time does not help, or if the time is unknown.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.filter(|wait| !wait.is_zero())
    }

    /// Returns the last fault. `None` if there was none, for example because the link was skipped.
    pub fn fault(&self) -> Option<&Fault> {
        match &self.because {
            SkipReason::Fault(fault) => Some(fault),
            _ => self.attempts.last().map(|attempt| &attempt.fault),
        }
    }

    /// Returns whether one of its calls may have been executed, although no complete response came.
    pub(crate) fn may_have_run(&self) -> bool {
        let cause = if let SkipReason::Fault(fault) = &self.because { Some(fault) } else { None };
        self.attempts.iter().map(|attempt| &attempt.fault).chain(cause).any(Fault::may_have_run)
    }

    /// Returns whether the failure says more than that the link lacks what the request names.
    pub(crate) const fn shows_more_than_absence(&self) -> bool {
        !matches!(self.because, SkipReason::NoModel | SkipReason::NotFound)
    }

    /// Returns the name of the reason in snake case. If rotation stopped because the provider was at fault, this is
    /// the reason of that fault.
    pub(crate) fn word(&self) -> &'static str {
        match (&self.because, self.fault()) {
            (SkipReason::Keys(StopReason::ProviderFault), Some(fault)) => fault.reason().as_str(),
            (because, _) => because.as_str(),
        }
    }

    pub(super) fn failure(&self) -> Failure {
        let last = self.fault().map(Fault::reason);
        match &self.because {
            SkipReason::Keys(stop_reason) => Failure::of_keys(*stop_reason, self.exhausted_by, last),
            SkipReason::Fault(fault) => {
                Failure::of(fault.reason()).unwrap_or(Failure::Other(self.because.as_str()))
            }
            SkipReason::Shed => Failure::Overloaded,
            SkipReason::NoEndpoint => Failure::NoEndpoint,
            SkipReason::Unroutable => Failure::Unroutable,
            because => Failure::Other(because.as_str()),
        }
    }

    pub(super) fn was_called(&self) -> bool {
        !self.attempts.is_empty() || matches!(self.because, SkipReason::Fault(_))
    }

    pub(super) fn reason(&self) -> &'static str {
        match (&self.because, self.exhausted_by) {
            (SkipReason::Keys(StopReason::Exhausted), Some(reason)) => reason.as_str(),
            _ => self.fault().map_or(self.because.as_str(), |fault| fault.reason().as_str()),
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
        let Self {
            provider,
            because,
            attempts,
            status: _,
            retry_after,
            wait,
            exhausted_by,
            last_response,
            source,
        } = self;
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
