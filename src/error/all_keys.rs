//! The error of a rotation layer that could not serve a request.

use std::fmt;
use std::time::Duration;

use http::Response;
use tower::BoxError;

use crate::body::ErrorBody;
use crate::classify::{Fault, Reason};
use crate::error::attempt::Attempt;
use crate::error::failure::Failure;
use crate::error::last_response::LastResponse;
use crate::error::stop_reason::StopReason;
use crate::error::summary::Summary;
use crate::provider::{ModelId, Provider};

/// The error of a rotation layer: no key of one provider could serve the request.
///
/// Holds every attempt, the provider's last response if that was an error, and the time after which it is worth
/// trying again.
#[derive(thiserror::Error)]
pub struct AllKeysFailed {
    pub(crate) provider: Provider,
    pub(crate) model: Option<ModelId>,
    pub(crate) stop_reason: StopReason,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) retry_after: Option<Duration>,
    /// Time until a key is usable that the request may still use, if that fits the deadline. Zero if another key is
    /// usable now, or may become usable at any moment.
    pub(crate) wait: Option<Duration>,
    pub(crate) exhausted_by: Option<Reason>,
    pub(crate) last_response: Option<LastResponse>,
    #[source]
    pub(crate) source: Option<BoxError>,
}

// === impl AllKeysFailed ===

impl AllKeysFailed {
    /// Returns the provider's name.
    pub fn provider(&self) -> &str {
        self.provider.name()
    }

    /// Returns the model of the request. `None` if the layer did not look for it or did not find one.
    pub const fn model(&self) -> Option<&ModelId> {
        self.model.as_ref()
    }

    /// Returns the reason for which no further attempt was made.
    pub const fn stop_reason(&self) -> StopReason {
        self.stop_reason
    }

    /// Returns all attempts in order. Empty if no key was usable in the first place.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Returns the time until it is worth trying again, counted from the failure. `None` if time does not help, or
    /// if the time is unknown.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the reason for which the last attempt failed. `None` if there was no attempt.
    pub fn last_reason(&self) -> Option<Reason> {
        Some(self.attempts.last()?.fault.reason())
    }

    /// Returns the reason for which the pool had no usable key, for [`StopReason::Exhausted`].
    ///
    /// This is the reason of the cooldown that clears most easily: limits before quotas before refusals.
    /// [`Reason::InvalidKey`] if the keys are disabled. `None` if limits or requests in flight occupy the keys,
    /// without a cooldown.
    pub const fn exhausted_by(&self) -> Option<Reason> {
        self.exhausted_by
    }

    /// Returns whether an attempt may have been executed, and billed, although no complete response came. Sending
    /// the request again may cost twice.
    pub fn may_have_run(&self) -> bool {
        self.attempts.iter().map(|attempt| &attempt.fault).any(Fault::may_have_run)
    }

    /// Returns the provider's last response if its status is an error (400 or more). `None` if there was no
    /// response, or if a successful response broke off.
    ///
    /// The body begins with the part that the layer has read. If the provider echoed the key there, the key is
    /// removed. The rest of the body passes under the chain's idle timeout, or 10 s without a chain, and until the
    /// request's [`Deadline`](crate::Deadline). Past these limits the body ends with an error.
    pub fn into_last_response(self) -> Option<Response<ErrorBody>> {
        self.last_response.map(LastResponse::into_inner)
    }

    /// Returns the HTTP response that reports this error; see [`Error::into_response`](crate::Error::into_response).
    pub fn into_response(mut self) -> Response<ErrorBody> {
        let summary = self.summary();
        summary.with(self.take_response())
    }

    pub(super) fn summary(&self) -> Summary {
        let failure = Failure::of_keys(self.stop_reason, self.exhausted_by, self.last_reason());
        let mut message =
            format!("no key of {} could serve the request: {}", self.provider(), self.stop_reason);
        if let Some(reason) = self.exhausted_by.or_else(|| self.last_reason()) {
            message = format!("{message} ({reason})");
        }
        let may_have_run = self.may_have_run();
        Summary { failure, message, retry_after: self.retry_after(), may_have_run }
    }

    /// Takes the last response, unless the deadline ended the request: a response that came before it does not
    /// describe that failure.
    pub(super) fn take_response(&mut self) -> Option<LastResponse> {
        self.last_response.take().filter(|_| self.stop_reason != StopReason::Deadline)
    }
}

impl fmt::Display for AllKeysFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no key of {} could serve the request: {}", self.provider(), self.stop_reason)?;
        if let Some(model) = &self.model {
            write!(f, "; model {model}")?;
        }
        for (index, attempt) in self.attempts.iter().enumerate() {
            write!(f, "; attempt {}: {attempt}", index + 1)?;
        }
        match self.retry_after {
            Some(wait) => write!(f, "; try again in {wait:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for AllKeysFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            provider,
            model,
            stop_reason,
            attempts,
            retry_after,
            wait,
            exhausted_by,
            last_response,
            source,
        } = self;
        f.debug_struct("AllKeysFailed")
            .field("provider", &provider.name())
            .field("model", model)
            .field("stop_reason", stop_reason)
            .field("attempts", attempts)
            .field("retry_after", retry_after)
            .field("wait", wait)
            .field("exhausted_by", exhausted_by)
            .field("has_last_response", &last_response.is_some())
            .field("source", source)
            .finish()
    }
}
