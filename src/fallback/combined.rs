//! The failures of several providers, put together for the caller.

use std::fmt::{self, Display};

use crate::classify::Fault;
use crate::error::{Failure, LastResponse, StopReason};
use crate::fallback::failure::{AllProvidersFailed, ProviderFailed};
use crate::fallback::skip_reason::SkipReason;

/// Failures that a chain has if each of its links has them.
const SAID_BY_ALL: [Failure; 3] = [Failure::Overloaded, Failure::UnreadableModel, Failure::Unroutable];

/// The reasons of all links, without the names of their keys.
struct Reasons<'a>(&'a AllProvidersFailed);

// === impl AllProvidersFailed ===

impl AllProvidersFailed {
    /// What they come to: a limit, if all that is in the way are limits; a timeout, if all that was called was late.
    pub(crate) fn failure(&self) -> Failure {
        if self.deadline_passed() {
            return Failure::Deadline;
        }
        let asked = || self.failures.iter().filter(|failed| failed.because != SkipReason::NoModel);
        let any = |is: fn(Failure) -> bool| asked().any(|failed| is(failed.failure()));
        let all = |is: fn(Failure) -> bool| asked().next().is_some() && asked().all(|it| is(it.failure()));
        if all(|failure| failure.is_limit() || failure == Failure::NoUsableKey) {
            return match () {
                () if any(|failure| failure == Failure::RateLimit) => Failure::RateLimit,
                () if any(|failure| failure == Failure::Quota) => Failure::Quota,
                () => Failure::NoUsableKey,
            };
        }
        let alike = |failure| asked().next().is_some() && asked().all(|it| it.failure() == failure);
        if let Some(failure) = SAID_BY_ALL.into_iter().find(|failure| alike(*failure)) {
            return failure;
        }
        let mut called = asked().filter(|failed| failed.was_called()).peekable();
        let is_late = called.peek().is_some() && called.all(|failed| failed.failure() == Failure::Timeout);
        if is_late { Failure::Timeout } else { Failure::Other("all_providers_failed") }
    }

    /// The one response that says itself that it is an error. `None` if there are several, if another link was
    /// silent, or if the deadline passed.
    pub(crate) fn take_only_response(&mut self) -> Option<LastResponse> {
        let is_late = |failed: &ProviderFailed| failed.failure() == Failure::Timeout;
        let silent = self.failures.iter().any(|failed| failed.last_response.is_none() && is_late(failed));
        let mut responses = self.failures.iter_mut().filter(|failed| failed.last_response.is_some());
        match (responses.next(), responses.next()) {
            (Some(only), None) if !silent && !self.deadline_passed => only.last_response.take(),
            _ => None,
        }
    }

    /// Why each link did not serve the request: `openai: rate_limited; anthropic: timeout`.
    pub(crate) fn reasons(&self) -> impl Display + '_ {
        Reasons(self)
    }
}

// === impl ProviderFailed ===

impl ProviderFailed {
    fn failure(&self) -> Failure {
        let last = self.fault().map(Fault::reason);
        match &self.because {
            SkipReason::Keys(stop_reason) => Failure::of_keys(*stop_reason, self.exhausted_by, last),
            SkipReason::Fault(fault) => {
                Failure::of(fault.reason()).unwrap_or(Failure::Other(self.because.as_str()))
            }
            SkipReason::Shed => Failure::Overloaded,
            SkipReason::Unroutable => Failure::Unroutable,
            because => Failure::Other(because.as_str()),
        }
    }

    fn was_called(&self) -> bool {
        !self.attempts.is_empty() || matches!(self.because, SkipReason::Fault(_))
    }

    fn reason(&self) -> &'static str {
        match (&self.because, self.exhausted_by) {
            (SkipReason::Keys(StopReason::Exhausted), Some(reason)) => reason.as_str(),
            _ => self.fault().map_or(self.because.as_str(), |fault| fault.reason().as_str()),
        }
    }
}

// === impl Reasons ===

impl Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failed) in self.0.providers().iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", failed.provider(), failed.reason())?;
        }
        if self.0.providers().is_empty() {
            return f.write_str("none was asked");
        }
        Ok(())
    }
}
