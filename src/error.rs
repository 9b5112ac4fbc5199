//! What can go wrong, and what to do about it.
//!
//! No error contains a secret: keys are named by their ids, and an error of the client whose text or debug
//! output contains the key that was sent is replaced by one that says so.

mod response;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use tower::BoxError;

use crate::body::{ErrorBody, RestLimits};
use crate::classify::{Fault, Reason};
use crate::fallback::{AllProvidersFailed, UnknownLink};
use crate::pool::ApplyKeyError;
use crate::provider::{ModelId, Provider};
use crate::rotate::Attempt;

pub(crate) use crate::error::response::{Failure, Summary};

/// An error of a layer of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No key could serve the request.
    #[error(transparent)]
    AllKeysFailed(Box<AllKeysFailed>),
    /// No provider of a chain could serve the request.
    #[error(transparent)]
    AllProvidersFailed(Box<AllProvidersFailed>),
    /// The request's own body failed while it was sent. No key is to blame.
    #[error("the request body failed")]
    Body(#[source] BoxError),
    /// The key was not put onto the request, and the request not sent.
    #[error(transparent)]
    Stamp(#[from] ApplyKeyError),
    /// The wrapped service failed to become ready, or a layer inside shed the request. Nothing was sent.
    #[error("the client is not ready")]
    Service(#[source] BoxError),
    /// The request is [pinned](crate::ProviderPin) to a link that the chain does not have.
    #[error(transparent)]
    UnknownLink(#[from] UnknownLink),
}

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

/// The last response that was given up, and says itself that it is an error: only such a one may be delivered in
/// place of an error.
pub(crate) struct LastResponse(Response<ErrorBody>);

/// Why no more was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// As many attempts as one request may have were made.
    AttemptLimit,
    /// The caller's deadline has passed.
    Deadline,
    /// No other key is usable.
    Exhausted,
    /// The request's body can't be sent again.
    NotReplayable,
    /// The provider failed, whichever key is used, and a retry was not allowed or failed too.
    ProviderFault,
    /// Two keys in good standing were refused alike, so that no other key of the provider was tried.
    RefusedAlike,
    /// The pool declares limits for single models, and the model of the request can't be read: its body is compressed,
    /// no valid JSON and no form, names no possible model, or is longer than the replay cap and names none before.
    /// Nothing was sent.
    UnreadableModel,
}

// === impl LastResponse ===

impl LastResponse {
    /// Keeps a response for as long as its rest may take. Any other than an error is dropped.
    pub(crate) fn new(
        response: Response<UnsyncBoxBody<Bytes, BoxError>>,
        limits: RestLimits,
    ) -> Option<Self> {
        let is_error = response.status().is_client_error() || response.status().is_server_error();
        is_error.then(|| Self(response.map(|body| ErrorBody::response(body, limits))))
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status()
    }

    pub(crate) fn into_inner(self) -> Response<ErrorBody> {
        self.0
    }
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

impl From<AllProvidersFailed> for Error {
    fn from(failed: AllProvidersFailed) -> Self {
        Self::AllProvidersFailed(Box::new(failed))
    }
}

impl From<AllKeysFailed> for Error {
    fn from(failed: AllKeysFailed) -> Self {
        Self::AllKeysFailed(Box::new(failed))
    }
}

// === impl GaveUp ===

impl StopReason {
    /// The name in machine-readable answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttemptLimit => "attempt_limit",
            Self::Deadline => "deadline",
            Self::Exhausted => "exhausted",
            Self::NotReplayable => "not_replayable",
            Self::ProviderFault => "provider_fault",
            Self::RefusedAlike => "refused_alike",
            Self::UnreadableModel => "unreadable_model",
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AttemptLimit => "the limit of attempts was reached",
            Self::Deadline => "the deadline has passed",
            Self::Exhausted => "no other key is usable",
            Self::NotReplayable => "the body is too long to be sent again; raise the replay cap",
            Self::ProviderFault => "the provider is at fault, another key can't help",
            Self::RefusedAlike => {
                "two keys in good standing were refused alike: see what the request asks for"
            }
            Self::UnreadableModel => {
                "limits are declared for models, and the body does not say which model it is for: \
                 send it uncompressed, as valid JSON or a form with one model"
            }
        })
    }
}
