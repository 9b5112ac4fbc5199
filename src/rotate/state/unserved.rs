//! What the caller gets when no key has served the request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower::BoxError;

use crate::body::{ResponseBody, RestLimits, UsageSlot};
use crate::classify::{Fault, Reason, Scope, Verdict};
use crate::clock::{Moment, Timestamp};
use crate::error::{AllKeysFailed, Error, LastResponse, StopReason};
use crate::event::{EventKind, Severity};
use crate::exchange::context::ChainContext;
use crate::exchange::inspect::UpstreamResponse;
use crate::exchange::served::{Attempt, Served};
use crate::key::KeyId;
use crate::pool::Lease;
use crate::rotate::state::RequestState;
use crate::rotate::state::deliver::handed_over;
use crate::rotate::state::failed_attempts::FailedAttempts;
use crate::rotate::state::refusal::RefusalKind as Refused;

// === impl Journey ===

impl<B> RequestState<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// No more is tried. A refusal that concerns the request and no key is the caller's; all else is an error.
    pub(in crate::rotate) fn end(
        mut self,
        stop_reason: StopReason,
    ) -> Result<Response<ResponseBody<B>>, Error> {
        let own = self.failures.as_deref_mut().filter(|failures| failures.is_the_requests_own(stop_reason));
        match own.and_then(FailedAttempts::take_refusal) {
            Some((key, fault, answer)) => Ok(self.refused(key, fault, answer)),
            None => Err(self.failed(stop_reason)),
        }
    }

    /// Delivers the last refusal.
    fn refused(mut self, key: KeyId, fault: Fault, answer: UpstreamResponse<B>) -> Response<ResponseBody<B>> {
        let served = Served::new(
            self.config.pool.provider().clone(),
            key,
            self.request.known_model().cloned(),
            Verdict::Fault(fault),
            self.failures.take().map_or_else(Vec::new, |failures| failures.attempts),
            UsageSlot::default(),
            Moment::now(),
        );
        handed_over(answer, served, self.context.as_ref(), None, self.rest_limits())
    }

    /// No more is tried.
    pub(in crate::rotate) fn failed(mut self, stop_reason: StopReason) -> Error {
        let another_key = stop_reason == StopReason::ProviderFault && self.has_another_key(&[]);
        let mut failures = self.failures.take().map_or_else(FailedAttempts::default, |failures| *failures);
        failures.leave_unconfirmed(Timestamp::now());
        let FailedAttempts { attempts, tried, last, .. } = failures;
        let pool = &self.config.pool;
        let model = self.request.known_model().cloned();
        let hint = || attempts.last().and_then(|attempt| attempt.fault.wait());
        let (retry_after, wait) = match stop_reason {
            StopReason::ProviderFault => (hint(), another_key.then_some(Duration::ZERO)),
            StopReason::UnreadableModel => (None, None),
            _ => {
                let now = Moment::now();
                let for_this = pool.earliest(&self.wanted(tried.refused()), now);
                let for_all = pool.earliest(&self.wanted(&[]), now);
                // A pool that others can use is not exhausted, whatever became of this request.
                if stop_reason == StopReason::Exhausted {
                    pool.announce_exhausted(model.as_ref(), attempts.len(), &for_all);
                }
                (for_all.retry_after(), self.wait_for_key(&for_this))
            }
        };
        let exhausted_by =
            (stop_reason == StopReason::Exhausted).then(|| pool.held_by(&self.wanted(&[]), Moment::now()));
        let (last_response, source) = match last {
            Some(Ok(answer)) => (Some(answer.into_response().map(ResponseBody::erase)), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        pool.emit(Severity::Detail, || EventKind::PoolFailed {
            model: model.clone(),
            reason: stop_reason.as_str(),
            attempts: attempts.len(),
            retry_after,
        });
        Error::from(AllKeysFailed {
            provider: pool.provider().clone(),
            model,
            stop_reason,
            attempts,
            retry_after: retry_after.filter(|wait| !wait.is_zero()),
            wait,
            exhausted_by: exhausted_by.flatten(),
            last_response: last_response.and_then(|last| LastResponse::new(last, self.rest_limits())),
            source,
        })
    }
}

impl<B> RequestState<B> {
    /// How long the rest of a response may take that is kept in an error.
    pub(in crate::rotate) fn rest_limits(&self) -> RestLimits {
        RestLimits::new(self.context.as_ref().and_then(ChainContext::idle_timeout), self.request.deadline())
    }

    /// The deadline passed while an attempt was under way, which blames no key.
    pub(in crate::rotate) fn cut_off(&mut self, lease: &Lease) {
        let attempt = Attempt {
            provider: Arc::from(self.config.pool.provider().name()),
            key: Some(lease.key_id().clone()),
            status: None,
            fault: Fault::new(Reason::Timeout, Scope::None).may_have_run(lease.is_stamped()),
            benched: None,
            duration: Moment::now().saturating_since(lease.began()),
        };
        self.failures.get_or_insert_default().add(attempt);
    }
}

// === impl Past ===

impl<B> FailedAttempts<B> {
    /// Whether the last refusal concerns what was asked for, and no key: it is of one resource, or two keys were
    /// forbidden it alike, for no reason that lies in their accounts.
    fn is_the_requests_own(&self, stop_reason: StopReason) -> bool {
        let Some(Attempt { fault, status, .. }) = self.attempts.last() else { return false };
        let alike = Refused::of(fault, *status).map_or(0, |refused| self.count(refused));
        match stop_reason {
            StopReason::Exhausted | StopReason::AttemptLimit | StopReason::NotReplayable => {
                let is_forbidden = fault.reason() == Reason::Forbidden && !fault.names_account();
                is_forbidden && (fault.is_of_resource() || alike > 1)
            }
            StopReason::Deadline
            | StopReason::ProviderFault
            | StopReason::RefusedAlike
            | StopReason::UnreadableModel => false,
        }
    }

    /// Takes the last attempt and its response. No key has served the request.
    fn take_refusal(&mut self) -> Option<(KeyId, Fault, UpstreamResponse<B>)> {
        self.leave_unconfirmed(Timestamp::now());
        let is_error = |answer: &UpstreamResponse<B>| !answer.head.status.is_success();
        let answer = self.last.take_if(|last| last.as_ref().is_ok_and(is_error))?.ok()?;
        let Attempt { key, fault, .. } = self.attempts.pop()?;
        Some((key?, fault, answer))
    }
}
