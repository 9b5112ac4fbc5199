//! The secrets of keys with a source: fetched before an attempt that has none, and renewed after a 401.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either};
use http_body::Body;
use tower::BoxError;

use crate::classify::{Fault, Reason, Scope, Verdict};
use crate::clock::Moment;
use crate::error::{Attempt, StopReason};
use crate::exchange::context::ChainContext;
use crate::exchange::future::with_deadline;
use crate::key::{Issued, SecretSource, SecretUnavailable};
use crate::pool::Lease;
use crate::rotate::audit::Audit;
use crate::rotate::state::RequestState;
use crate::rotate::tried::Tried;

/// A new secret, if there is one, and the attempt whose secret was refused.
pub(super) type Renewed<B> = (Option<Arc<Issued>>, (Tried<B>, Audit));

/// Waits for the source of the key to fetch a secret. If it fails, the request goes on with another key, or ends for
/// the returned reason.
pub(super) async fn fetch<B>(
    state: &mut RequestState<B>,
    lease: &mut Lease,
) -> Result<(), Option<StopReason>> {
    let Some(source) = lease.source().cloned() else { return Ok(()) };
    match with_deadline(state.request.own_deadline(), Box::pin(source.fetch())).await {
        Ok(Ok(issued)) => {
            lease.set_issued(issued);
            Ok(())
        }
        Ok(Err(error)) => {
            lease.set_unsent();
            Err(give_up(state, lease, error))
        }
        Err(_late) => {
            lease.set_unsent();
            Err(Some(StopReason::Deadline))
        }
    }
}

/// Records that the key has no secret. No cooldown follows: the source says when it has one.
fn give_up<B>(state: &mut RequestState<B>, lease: &Lease, error: SecretUnavailable) -> Option<StopReason> {
    let fault = Fault::new(Reason::Unreachable, Scope::Key).with_one_resource(true);
    let attempt = attempt(state, lease, fault.with_retry_after(error.retry_in()), None);
    let (limit, pool) = (state.config.policy.max_attempts, state.config.pool.id());
    let failures = state.failures.get_or_insert_default();
    failures.add(attempt);
    failures.tried.refuse([lease.key_id().clone()].into_iter());
    failures.last = Some(Err(error.into()));
    if let Some(context) = &state.context {
        context.remember(pool, &failures.tried);
    }
    (failures.attempts.len() >= limit).then_some(StopReason::AttemptLimit)
}

/// Returns the renewal of the secret after the provider has refused it. It yields the secret with which the same key
/// may try again, if there is one. The attempt comes back at once if the key may not: the provider did not refuse it,
/// another refusal of it came just before, or no attempt is left.
///
/// The attempt is moved into the renewal, so that the future of a request has no room for it in two places.
pub(super) fn renewal<B: Send + 'static>(
    state: &RequestState<B>,
    lease: &Lease,
    tried: Tried<B>,
    audit: Audit,
) -> Either<(Tried<B>, Audit), BoxFuture<'static, Renewed<B>>> {
    let Some((number, source)) = refused(state, lease, &tried.verdict) else {
        return Either::Left((tried, audit));
    };
    let (context, deadline) = (state.context.clone(), state.request.own_deadline());
    Either::Right(Box::pin(async move {
        let renewed = with_deadline(deadline, Box::pin(source.after(number))).await.ok().flatten();
        let is_taken = renewed.is_none() || context.as_ref().is_none_or(ChainContext::take_attempt);
        if !is_taken {
            // The attempt that was refused is over, and counts as a call.
            context.iter().for_each(ChainContext::call);
        }
        (renewed.filter(|_| is_taken), (tried, audit))
    }))
}

/// Returns the number and the source of a secret that was refused, if it may be renewed for this request.
fn refused<B>(state: &RequestState<B>, lease: &Lease, verdict: &Verdict) -> Option<(u64, SecretSource)> {
    let (number, source) = (lease.issued()?.number, lease.source()?.clone());
    let is_refused = verdict.fault().is_some_and(|fault| fault.reason() == Reason::InvalidKey);
    let attempts = state.failures.as_deref().map_or(&[][..], |failures| &failures.attempts[..]);
    let is_second = attempts.last().is_some_and(|last| is_refusal_of(last, lease));
    let is_left = attempts.len() + 1 < state.config.policy.max_attempts;
    (is_refused && !is_second && is_left && state.request.is_replayable()).then_some((number, source))
}

fn is_refusal_of(attempt: &Attempt, lease: &Lease) -> bool {
    attempt.key.as_ref() == Some(lease.key_id()) && attempt.fault.reason() == Reason::InvalidKey
}

/// Records an attempt with a secret that was out of date, for which the key is not to blame, and keeps its lease for an
/// attempt with the new one.
pub(super) fn keep<B>(
    state: &mut RequestState<B>,
    mut lease: Lease,
    issued: Arc<Issued>,
    (tried, audit): (Tried<B>, Audit),
) -> Box<Lease>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let head = tried.response.as_ref().ok().map(|response| &*response.head);
    let status = head.map(|head| head.status);
    audit.end(&state.request, &lease, &tried.verdict, head);
    if let Some(fault) = tried.verdict.fault() {
        let attempt = attempt(state, &lease, fault.clone(), status);
        let failures = state.failures.get_or_insert_default();
        failures.attempts.push(attempt);
        failures.last = Some(tried.response);
    }
    lease.set_issued(issued);
    Box::new(lease)
}

fn attempt<B>(
    state: &RequestState<B>,
    lease: &Lease,
    fault: Fault,
    status: Option<http::StatusCode>,
) -> Attempt {
    Attempt {
        provider: Arc::from(state.config.pool.provider().name()),
        key: Some(lease.key_id().clone()),
        status,
        fault,
        cooldown: None,
        duration: Moment::now().saturating_since(lease.began()),
    }
}
