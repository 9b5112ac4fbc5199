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

/// No key of one provider could serve the request.
///
/// Has every attempt, the last answer, and the true time after which it is worth trying again.
#[derive(thiserror::Error)]
pub struct AllKeysFailed {
    pub(crate) provider: Provider,
    pub(crate) model: Option<ModelId>,
    pub(crate) stop_reason: StopReason,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) retry_after: Option<Duration>,
    /// The time until a key is usable that the request may still use, if it fits the deadline: zero if another
    /// key is usable now, or may be at any moment.
    pub(crate) wait: Option<Duration>,
    pub(crate) exhausted_by: Option<Reason>,
    pub(crate) last_response: Option<LastResponse>,
    #[source]
    pub(crate) source: Option<BoxError>,
}

// === impl AllKeysFailed ===

impl AllKeysFailed {
    /// The provider's name.
    pub fn provider(&self) -> &str {
        self.provider.name()
    }

    /// The model, where it was looked for.
    pub const fn model(&self) -> Option<&ModelId> {
        self.model.as_ref()
    }

    /// Why no more was tried.
    pub const fn stop_reason(&self) -> StopReason {
        self.stop_reason
    }

    /// Every attempt, in their order; none if no key was usable in the first place.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The true time until it is worth trying again; `None` if that is not a matter of time, or unknown.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Why the last attempt failed.
    pub fn last_reason(&self) -> Option<Reason> {
        Some(self.attempts.last()?.fault.reason())
    }

    /// Why the pool had no usable key, for [`StopReason::Exhausted`]: the reason of the cooldown that clears most
    /// easily, limits before quotas before refusals. [`Reason::InvalidKey`] if the keys are disabled. `None` if the
    /// keys are held by limits or requests in flight, without a cooldown.
    pub const fn exhausted_by(&self) -> Option<Reason> {
        self.exhausted_by
    }

    /// Whether an attempt may have been executed, and billed, although no complete response came. Sending the
    /// request again may be paid twice.
    pub fn may_have_run(&self) -> bool {
        self.attempts.iter().map(|attempt| &attempt.fault).any(Fault::is_ambiguous)
    }

    /// The provider's last response, if that says itself that it is an error: its status is 400 or more. `None` if
    /// there was no response, or a success that broke off.
    ///
    /// Its body begins with what was read of it, without the key if the provider echoed it there. The rest passes
    /// under the chain's idle limit, or 10 s, and until the request's [`Deadline`](crate::Deadline); past these the
    /// body ends with an error.
    pub fn into_last_response(self) -> Option<Response<ErrorBody>> {
        self.last_response.map(LastResponse::into_inner)
    }

    /// The response that says this; see [`Error::into_response`].
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

    /// A response that came before the deadline does not speak for a request that ran into it.
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
            .field("gave_up", stop_reason)
            .field("attempts", attempts)
            .field("retry_after", retry_after)
            .field("wait", wait)
            .field("exhausted_by", exhausted_by)
            .field("has_last_response", &last_response.is_some())
            .field("source", source)
            .finish()
    }
}
