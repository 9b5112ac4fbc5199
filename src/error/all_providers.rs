//! The error of a chain that could not serve a request.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use http::Response;

use crate::body::ErrorBody;
use crate::classify::Reason;
use crate::error::attempt::Attempt;
use crate::error::failure::Failure;
use crate::error::last_response::LastResponse;
use crate::error::provider::ProviderFailed;
use crate::error::skip_reason::SkipReason;
use crate::error::stop_reason::StopReason;
use crate::error::summary::Summary;

/// The error of a fallback layer: no provider of a chain could serve the request.
///
/// Holds one entry for each link that was called or skipped, in that order, and the shortest time after which it
/// is worth trying again.
pub struct AllProvidersFailed {
    pub(crate) failures: Vec<ProviderFailed>,
    pub(crate) deadline_passed: bool,
}

/// Failures that describe the whole chain if every one of its links failed in that way.
const SAID_BY_ALL: [Failure; 5] = [
    Failure::NoEndpoint,
    Failure::NoKeyMayServe,
    Failure::Overloaded,
    Failure::UnreadableModel,
    Failure::Unroutable,
];

/// Displays the reasons of all links, without the names of their keys.
struct Reasons<'a>(&'a AllProvidersFailed);

// === impl AllProvidersFailed ===

impl AllProvidersFailed {
    /// Returns the links, in the order in which they were called or skipped.
    pub fn providers(&self) -> &[ProviderFailed] {
        &self.failures
    }

    /// Iterates over all attempts of all links, in order.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.failures.iter().flat_map(ProviderFailed::attempts)
    }

    /// Returns the shortest time until it is worth trying again, counted from the failure. `None` if a provider may
    /// serve at once, if time does not help, or if the time is unknown.
    pub fn retry_after(&self) -> Option<Duration> {
        let waits = self.failures.iter().filter_map(|failed| failed.retry_after);
        waits.min().filter(|wait| !wait.is_zero())
    }

    /// Returns whether the request's deadline passed.
    pub const fn deadline_passed(&self) -> bool {
        self.deadline_passed
    }

    /// Returns whether a call may have been executed, and billed, although no complete response came. Sending the
    /// request again may cost twice.
    pub fn may_have_run(&self) -> bool {
        self.failures.iter().any(ProviderFailed::may_have_run)
    }

    /// Combines the failures of all links: a limit if every link is limited or has no usable key, a timeout if every
    /// link that was called timed out.
    pub(super) fn failure(&self) -> Failure {
        if self.deadline_passed() {
            return Failure::Deadline;
        }
        let asked = || self.failures.iter().filter(|failed| failed.shows_more_than_absence());
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

    /// Takes the error response of the chain if exactly one link has one. `None` if there are several, if another
    /// link timed out without a response, or if the deadline passed.
    pub(super) fn take_only_response(&mut self) -> Option<LastResponse> {
        let is_late = |failed: &ProviderFailed| failed.failure() == Failure::Timeout;
        let silent = self.failures.iter().any(|failed| failed.last_response.is_none() && is_late(failed));
        let mut responses = self.failures.iter_mut().filter(|failed| failed.last_response.is_some());
        match (responses.next(), responses.next()) {
            (Some(only), None) if !silent && !self.deadline_passed => only.last_response.take(),
            _ => None,
        }
    }

    /// Converts into the failure of a link that is a chain itself. The outer chain does not wait for it, because it has
    /// waited itself.
    pub(crate) fn into_link(mut self, link: Arc<str>) -> ProviderFailed {
        let failure = self.failure();
        let (because, exhausted_by) = match failure {
            Failure::Deadline => (SkipReason::Keys(StopReason::Deadline), None),
            Failure::RateLimit => (SkipReason::Keys(StopReason::Exhausted), Some(Reason::RateLimited)),
            Failure::Quota => (SkipReason::Keys(StopReason::Exhausted), Some(Reason::QuotaExceeded)),
            Failure::NoUsableKey => (SkipReason::Keys(StopReason::Exhausted), Some(Reason::InvalidKey)),
            Failure::NoKeyMayServe => (SkipReason::Keys(StopReason::NoKeyMayServe), None),
            Failure::UnreadableModel => (SkipReason::Keys(StopReason::UnreadableModel), None),
            Failure::NoEndpoint => (SkipReason::NoEndpoint, None),
            Failure::Unroutable => (SkipReason::Unroutable, None),
            Failure::Timeout | Failure::Overloaded | Failure::Other(_) => {
                (SkipReason::Keys(StopReason::ProviderFault), None)
            }
        };
        let retry_after = self.retry_after();
        let last_response = self.take_only_response();
        let source = self.failures.iter_mut().rev().find_map(|failed| failed.source.take());
        let attempts = self.failures.into_iter().flat_map(|failed| failed.attempts).collect();
        let failed = ProviderFailed::new(link, because);
        ProviderFailed { attempts, retry_after, exhausted_by, last_response, source, ..failed }
    }

    /// Displays the reason for which each link did not serve the request: `openai: rate_limited; anthropic: timeout`.
    fn reasons(&self) -> impl Display + '_ {
        Reasons(self)
    }

    /// Returns the HTTP response that reports this error; see [`Error::into_response`](crate::Error::into_response).
    pub fn into_response(mut self) -> Response<ErrorBody> {
        let summary = self.summary();
        summary.with(self.take_only_response())
    }

    pub(super) fn summary(&self) -> Summary {
        let message = format!("no provider could serve the request: {}", self.reasons());
        let may_have_run = self.may_have_run();
        Summary { failure: self.failure(), message, retry_after: self.retry_after(), may_have_run }
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
