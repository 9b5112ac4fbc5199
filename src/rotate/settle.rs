//! Settling an attempt: what it means for the key, and the next step of the request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;
use tower::BoxError;

use crate::body::{EventDialect, ResponseBody, UsageSlot};
use crate::classify::{Fault, Rejection, Verdict};
use crate::clock::{Moment, Timestamp};
use crate::error::{Attempt, Error, StopReason};
use crate::event::{EventKind, Severity};
use crate::exchange::context::ChainContext;
use crate::exchange::served::Served;
use crate::pool::{Lease, ProvisionalCooldown, UndoCooldown};
use crate::provider::ModelId;
use crate::rotate::audit::Audit;
use crate::rotate::hand_over::handed_over;
use crate::rotate::policy::{Action, Progress};
use crate::rotate::state::RequestState;
use crate::rotate::state::failed_attempts::FailedAttempts;
use crate::rotate::state::refusal::{RefusalKind, unclear_fault};
use crate::rotate::tried::Tried;

/// The next step of a request.
pub(super) enum Next<B> {
    /// Deliver this response.
    Deliver(Response<ResponseBody<B>>),
    /// Send the request again with another key, at once.
    Rotate,
    /// Send the request again after a delay.
    Retry(Duration),
    /// Stop: no further attempt is allowed, or none can help.
    GiveUp(StopReason),
    /// Fail: the request itself is at fault.
    Fail(Error),
}

/// Settles the lease of an attempt with its result, and decides on the next step.
pub(super) fn settle<B>(
    state: &mut RequestState<B>,
    lease: &mut Lease,
    tried: Tried<B>,
    audit: Audit,
) -> Next<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let head = tried.response.as_ref().ok().map(|response| &*response.head);
    let status = head.map(|head| head.status);
    if let Some(head) = head {
        let model = || state.request.model(state.config.pool.provider()).cloned();
        lease.observe_at(head.status, &head.headers, model, tried.answered);
    } else if let Some(error) = state.request.take_body_error() {
        return Next::Fail(Error::Body(error));
    }
    let named = audit.end(&state.request, lease, &tried.verdict, head);
    let unclear = unclear_fault(&tried.verdict);
    let fault = tried.verdict.fault().or(unclear.as_ref());
    let progress = progress(state, &tried.verdict, fault, status, lease);
    let action = state.config.policy.decide(&tried.verdict, progress);
    let (Action::Rotate | Action::Retry(_) | Action::GiveUp(_), Some(fault)) = (action, fault) else {
        return deliver(state, lease, tried, action, named);
    };
    record(state, lease, fault, status);
    let failures = state.failures();
    match tried.response {
        Ok(response) if unclear.is_some() => {
            failures.tried.refuse(lease.keys_of_account().into_iter());
            failures.keep_unclear(response);
        }
        response => failures.last = Some(response),
    }
    failures.retrying = matches!(action, Action::Retry(_));
    match action {
        Action::Retry(wait) => {
            failures.retries += 1;
            report_rotation(state, fault, Some(wait));
            Next::Retry(wait)
        }
        Action::GiveUp(reason) => Next::GiveUp(reason),
        Action::Rotate | Action::Deliver | Action::Undo => {
            report_rotation(state, fault, None);
            Next::Rotate
        }
    }
}

/// Returns the facts about the request that the policy decides by.
fn progress<B>(
    state: &RequestState<B>,
    verdict: &Verdict,
    fault: Option<&Fault>,
    status: Option<StatusCode>,
    lease: &Lease,
) -> Progress {
    let failures = state.failures.as_deref();
    let refused = fault.and_then(|fault| RefusalKind::of(fault, status));
    let refused = refused.filter(|refused| refused.is_of_error_status());
    let alike = |failures: &FailedAttempts<B>| refused.is_some_and(|refused| failures.has_proven(refused));
    Progress {
        attempts: failures.map_or(0, |failures| failures.attempts.len()) + 1,
        in_chain: state.context.is_some(),
        retries: failures.map_or(0, |failures| failures.retries),
        refused_alike: failures.is_some_and(alike) && lease.is_proven(Timestamp::now()),
        replayable: state.request.is_replayable(),
        idempotent: fault.is_some_and(Fault::may_have_run) && state.request.is_idempotent(),
        another_key: has_another_key(state, verdict, status, lease),
        unclear_alike: failures.zip(refused).is_some_and(|(failures, refused)| failures.count(refused) > 0),
        time_left: fault.and_then(|_| state.time_left()),
    }
}

/// Returns whether a key is usable that the request has not tried: any key after a fault of the provider, one of
/// another account after an unclear response. Other verdicts don't depend on it.
fn has_another_key<B>(
    state: &RequestState<B>,
    verdict: &Verdict,
    status: Option<StatusCode>,
    lease: &Lease,
) -> bool {
    let is_error = status.is_some_and(|status| !status.is_success());
    match verdict {
        Verdict::Fault(fault) if fault.scope().is_provider() => {
            state.has_another_key(std::slice::from_ref(lease.key_id()))
        }
        Verdict::Rejected(Rejection::Unclear) if is_error => state.has_another_key(&lease.keys_of_account()),
        _ => false,
    }
}

/// Delivers the response of an attempt. An error of the client has none, and ends the request.
fn deliver<B>(
    state: &mut RequestState<B>,
    lease: &mut Lease,
    tried: Tried<B>,
    action: Action,
    named: Option<ModelId>,
) -> Next<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let key = lease.key_id().clone();
    let now = Timestamp::from(tried.answered);
    let usage = match tried.verdict {
        Verdict::Success => {
            let named = named.or_else(|| state.request.known_model().cloned());
            UsageSlot::new(lease.succeed_at(now).for_model(named))
        }
        Verdict::Rejected(_) => {
            lease.refund();
            UsageSlot::default()
        }
        Verdict::Fault(_) | Verdict::Inspect => UsageSlot::default(),
    };
    if let Some(failures) = state.failures.as_deref_mut() {
        match &tried.verdict {
            Verdict::Success => failures.confirm(now),
            Verdict::Rejected(Rejection::Unclear) => failures.settle_unclear(now),
            Verdict::Rejected(_) if tried.response.is_ok() => failures.confirm_keys(now),
            Verdict::Fault(_) if action == Action::Undo => failures.undo(now),
            _ => {}
        }
    }
    let response = match tried.response {
        Ok(response) => response,
        error @ Err(_) => {
            state.failures().last = Some(error);
            return Next::GiveUp(StopReason::ProviderFault);
        }
    };
    let served = Served::new(
        state.config.pool.provider().clone(),
        key,
        state.request.known_model().cloned(),
        tried.verdict,
        state.failures.take().map_or_else(Vec::new, |failures| failures.attempts),
        usage,
        lease.began(),
    );
    let (in_band, rest) = (in_band_dialect(state), state.rest_limits());
    Next::Deliver(handed_over(response, served, state.context.as_ref(), in_band, rest))
}

/// Returns the dialect in which a failing stream reports its error as a last event, if it does.
fn in_band_dialect<B>(state: &RequestState<B>) -> Option<EventDialect> {
    let wanted = state.config.error_events || state.context.as_ref().is_some_and(ChainContext::error_events);
    wanted.then(|| EventDialect::of_path(state.request.path()))
}

/// Records a failed attempt, and puts the key into a cooldown for it.
fn record<B>(state: &mut RequestState<B>, lease: &mut Lease, fault: &Fault, status: Option<StatusCode>) {
    let now = Moment::now();
    let (key, refused) = (lease.key_id().clone(), RefusalKind::of(fault, status));
    // Read first, because the refusal itself does not change the standing of the key.
    let proven = refused.is_some() && lease.is_proven(now.into());
    let endpoint = refused.map(|_| state.request.endpoint());
    let model = state.request.model(state.config.pool.provider());
    let provisional =
        endpoint.and_then(|endpoint| ProvisionalCooldown::raise(lease, fault, model, endpoint, now.into()));
    let (cooldown, is_out) = match (&provisional, refused) {
        (Some(provisional), _) => (provisional.wait(), true),
        (None, Some(_)) => (None, false),
        (None, None) => {
            let undo = lease.fail_at(fault, model, now.into());
            (undo.as_ref().and_then(UndoCooldown::wait), undo.is_some())
        }
    };
    let attempt = Attempt {
        provider: Arc::from(state.config.pool.provider().name()),
        key: Some(key),
        status,
        fault: fault.clone(),
        cooldown,
        duration: now.saturating_since(lease.began()),
    };
    let pool = state.config.pool.id();
    let failures = state.failures.get_or_insert_default();
    failures.is_repeat = !is_out;
    failures.add(attempt);
    if let Some(refused) = refused {
        failures.add_refusal(refused, proven, provisional);
    }
    if let Some(context) = &state.context {
        context.remember(pool, &failures.tried);
    }
}

fn report_rotation<B>(state: &RequestState<B>, fault: &Fault, wait: Option<Duration>) {
    let last = state.failures.as_ref().and_then(|failures| failures.attempts.last());
    let Some(key) = last.and_then(|attempt| attempt.key.as_ref()) else { return };
    state.config.pool.emit(Severity::Detail, || EventKind::Rotated {
        key: key.clone(),
        model: state.request.known_model().cloned(),
        reason: fault.reason(),
        scope: fault.scope(),
        wait,
        why: fault.why(),
        caller: state.request.caller(),
    });
}
