//! Every provider's failure, and what they come to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tower::BoxError;

use crate::classify::{Fault, Reason, Scope};
use crate::error::{AllKeysFailed, LastResponse, StopReason};
use crate::fallback::skip_reason::SkipReason;
use crate::rotate::Attempt;

/// No provider of a chain could serve the request.
///
/// Has one entry for each link that was asked or skipped, in the order in which that happened, and the
/// shortest true time after which it is worth trying again.
pub struct AllProvidersFailed {
    pub(super) failures: Vec<ProviderFailed>,
    pub(super) deadline_passed: bool,
}

/// What became of a request at one link.
pub struct ProviderFailed {
    pub(super) provider: Arc<str>,
    pub(super) because: SkipReason,
    pub(super) attempts: Vec<Attempt>,
    /// The status of a response of a link without keys.
    pub(super) status: Option<StatusCode>,
    pub(super) retry_after: Option<Duration>,
    /// See [`AllKeysFailed`].
    pub(super) wait: Option<Duration>,
    /// See [`AllKeysFailed::exhausted_by`].
    pub(super) exhausted_by: Option<Reason>,
    pub(super) last_response: Option<LastResponse>,
    pub(super) source: Option<BoxError>,
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
    pub(super) const fn new(provider: Arc<str>, because: SkipReason) -> Self {
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

    pub(super) fn keys(provider: Arc<str>, failed: AllKeysFailed) -> Self {
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

    /// The deadline passed while the link was asked; `took`: and was called, for so long.
    pub(super) fn cut_off(provider: Arc<str>, took: Option<Duration>) -> Self {
        let fault = Fault::new(Reason::Timeout, Scope::None).may_have_run(took.is_some());
        let mut failed = Self::new(provider, SkipReason::Fault(fault));
        if let Some(took) = took {
            failed.add_attempt(took);
        }
        failed
    }

    /// Adds the attempt that failed, where no rotation layer has.
    pub(super) fn add_attempt(&mut self, duration: Duration) {
        let SkipReason::Fault(fault) = &self.because else { return };
        if self.attempts.is_empty() {
            self.attempts.push(Attempt {
                provider: Arc::clone(&self.provider),
                key: None,
                status: self.status,
                fault: fault.clone(),
                benched: None,
                duration,
            });
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
    pub const fn because(&self) -> &SkipReason {
        &self.because
    }

    /// The attempts, in order; none if it was skipped. A link without keys has one, which names no key.
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
            SkipReason::Fault(fault) => Some(fault),
            _ => self.attempts.last().map(|attempt| &attempt.fault),
        }
    }

    /// Whether one of its calls may have been executed, although no complete response came.
    pub(super) fn may_have_run(&self) -> bool {
        let cause = if let SkipReason::Fault(fault) = &self.because { Some(fault) } else { None };
        self.attempts.iter().map(|attempt| &attempt.fault).chain(cause).any(Fault::is_ambiguous)
    }

    /// Why it was left, in one word: where the provider was at fault, its fault.
    pub(super) fn word(&self) -> &'static str {
        match (&self.because, self.fault()) {
            (SkipReason::Keys(StopReason::ProviderFault), Some(fault)) => fault.reason().as_str(),
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
