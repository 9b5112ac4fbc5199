//! The result of a request that no key has served.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower::BoxError;

use crate::body::{ResponseBody, UsageSlot};
use crate::classify::{Fault, Reason, Rejection, Scope, Verdict};
use crate::clock::{Moment, Timestamp};
use crate::error::{AllKeysFailed, Attempt, Error, LastResponse, StopReason};
use crate::event::{EventKind, Severity};
use crate::exchange::inspect::UpstreamResponse;
use crate::exchange::served::Served;
use crate::key::KeyId;
use crate::pool::Lease;
use crate::rotate::audit::Audit;
use crate::rotate::hand_over::handed_over;
use crate::rotate::state::RequestState;
use crate::rotate::state::failed_attempts::FailedAttempts;

/// Ends a request that was not served. A refusal that concerns the request and no key is delivered, and so is an
/// unclear response; anything else is an error.
pub(super) fn end<B>(
    mut state: RequestState<B>,
    stop_reason: StopReason,
) -> Result<Response<ResponseBody<B>>, Error>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if let Some((key, response)) = state.failures.as_deref_mut().and_then(FailedAttempts::take_unclear) {
        return Ok(refused(state, key, Verdict::Rejected(Rejection::Unclear), response));
    }
    let may_serve = || {
        let refused = state.failures.as_deref().map_or(&[][..], |failures| failures.tried.refused());
        state.config.pool.earliest(&state.wanted(refused), Moment::now()).wait().at_least().is_some()
    };
    let is_own = |failures: &FailedAttempts<B>| failures.is_the_requests_own(stop_reason, may_serve);
    let is_own = state.failures.as_deref().is_some_and(is_own);
    let own = state.failures.as_deref_mut().filter(|_| is_own);
    match own.and_then(FailedAttempts::take_refusal) {
        Some((key, fault, response)) => Ok(refused(state, key, fault.into(), response)),
        None => Err(failed(state, stop_reason)),
    }
}

/// Delivers the last refusal.
fn refused<B>(
    mut state: RequestState<B>,
    key: KeyId,
    verdict: Verdict,
    response: UpstreamResponse<B>,
) -> Response<ResponseBody<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let served = Served::new(
        state.config.pool.provider().clone(),
        key,
        state.request.known_model().cloned(),
        verdict,
        state.failures.take().map_or_else(Vec::new, |failures| failures.attempts),
        UsageSlot::default(),
        Moment::now(),
    );
    handed_over(response, served, state.context.as_ref(), None, state.rest_limits())
}

/// Returns the error of a request that was not served.
pub(super) fn failed<B>(mut state: RequestState<B>, stop_reason: StopReason) -> Error
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let another_key = stop_reason == StopReason::ProviderFault && state.has_another_key(&[]);
    let mut failures = state.failures.take().map_or_else(FailedAttempts::default, |failures| *failures);
    failures.leave_unconfirmed(Timestamp::now());
    let (retry_after, wait) = waits(&state, &failures, stop_reason, another_key);
    let FailedAttempts { attempts, last, .. } = failures;
    let pool = &state.config.pool;
    let model = state.request.known_model().cloned();
    let exhausted_by =
        (stop_reason == StopReason::Exhausted).then(|| pool.held_by(&state.wanted(&[]), Moment::now()));
    let (last_response, source) = match last {
        Some(Ok(response)) => (Some(response.into_response().map(ResponseBody::erase)), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    pool.emit(Severity::Detail, || EventKind::PoolFailed {
        model: model.clone(),
        reason: stop_reason.as_str(),
        attempts: attempts.len(),
        retry_after,
        caller: state.request.caller(),
    });
    Error::from(AllKeysFailed {
        provider: pool.provider().clone(),
        model,
        stop_reason,
        attempts,
        retry_after: retry_after.filter(|wait| !wait.is_zero()),
        wait,
        exhausted_by: exhausted_by.flatten(),
        last_response: last_response.and_then(|last| LastResponse::new(last, state.rest_limits())),
        source,
    })
}

/// Returns the time until the request is worth sending again, and the time until a key is usable that the
/// request may still use, if it fits the deadline.
fn waits<B>(
    state: &RequestState<B>,
    failures: &FailedAttempts<B>,
    stop_reason: StopReason,
    another_key: bool,
) -> (Option<Duration>, Option<Duration>) {
    let hint = || failures.attempts.last().and_then(|attempt| attempt.fault.retry_after());
    match stop_reason {
        StopReason::ProviderFault => (hint(), another_key.then_some(Duration::ZERO)),
        StopReason::NoKeyMayServe | StopReason::UnreadableModel => (None, None),
        _ => {
            let (pool, now) = (&state.config.pool, Moment::now());
            let for_this = pool.earliest(&state.wanted(failures.tried.refused()), now);
            let for_all = pool.earliest(&state.wanted(&[]), now);
            // A pool that other requests can use is not exhausted, even if this request can't use it.
            if stop_reason == StopReason::Exhausted {
                pool.announce_exhausted(state.request.known_model(), failures.attempts.len(), &for_all);
            }
            (for_all.retry_after(), state.wait_for_key(&for_this))
        }
    }
}

/// Ends a request whose last attempt could not be sent. An earlier attempt that may have been executed is reported
/// instead, so that the caller does not send the request again as one that was never sent.
#[cold]
pub(super) fn unsent<B>(state: RequestState<B>, lease: &mut Lease, audit: Audit, error: Error) -> Error
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let error = audit.unsent(lease, error);
    let may_have_run =
        |failures: &FailedAttempts<B>| failures.attempts.iter().any(|attempt| attempt.fault.may_have_run());
    match state.failures.as_deref().is_some_and(may_have_run) {
        true => failed(state, StopReason::ProviderFault),
        false => error,
    }
}

/// Ends a request whose attempt the deadline has ended. No key is at fault.
pub(super) fn cut_off<B>(mut state: RequestState<B>, lease: &Lease, audit: Audit) -> Error
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    // The audit reports the end of the attempt before the error is made.
    drop(audit);
    let attempt = Attempt {
        provider: Arc::from(state.config.pool.provider().name()),
        key: Some(lease.key_id().clone()),
        status: None,
        fault: Fault::new(Reason::Timeout, Scope::None).with_may_have_run(lease.is_stamped()),
        cooldown: None,
        duration: Moment::now().saturating_since(lease.began()),
    };
    state.failures().add(attempt);
    failed(state, StopReason::Deadline)
}
