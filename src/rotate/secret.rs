//! The secrets of keys with a source: fetched before an attempt that has none, and renewed after a 401.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
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

/// Renews a secret that the provider has [refused]. Returns the secret with which the same key may try again, if there
/// is one and an attempt is left. Boxed, because few secrets are refused.
pub(super) fn renewal<B>(
    state: &RequestState<B>,
    (number, source): (u64, SecretSource),
) -> BoxFuture<'static, Option<Arc<Issued>>> {
    let (context, deadline) = (state.context.clone(), state.request.own_deadline());
    Box::pin(async move {
        let renewed = with_deadline(deadline, Box::pin(source.after(number))).await.ok().flatten();
        let is_taken = renewed.is_none() || context.as_ref().is_none_or(ChainContext::take_attempt);
        if !is_taken {
            // The attempt that was refused is over, and counts as a call.
            context.iter().for_each(ChainContext::call);
        }
        renewed.filter(|_| is_taken)
    })
}

/// Returns the number and the source of a secret that was refused, if it may be renewed for this request: no other
/// refusal of it came just before, and an attempt is left.
pub(super) fn refused<B>(
    state: &RequestState<B>,
    lease: &Lease,
    verdict: &Verdict,
) -> Option<(u64, SecretSource)> {
    let issued = lease.issued()?;
    if verdict.fault().is_none_or(|fault| fault.reason() != Reason::InvalidKey) {
        return None;
    }
    let attempts = state.failures.as_deref().map_or(&[][..], |failures| &failures.attempts[..]);
    let is_second = attempts.last().is_some_and(|last| is_refusal_of(last, lease));
    let is_left = attempts.len() + 1 < state.config.policy.max_attempts;
    let may_renew = !is_second && is_left && state.request.is_replayable();
    lease.source().filter(|_| may_renew).map(|source| (issued.number, source.clone()))
}

fn is_refusal_of(attempt: &Attempt, lease: &Lease) -> bool {
    attempt.key.as_ref() == Some(lease.key_id()) && attempt.fault.reason() == Reason::InvalidKey
}

/// Records an attempt with a secret that was out of date, for which the key is not to blame, and gives its lease the
/// new one for another attempt.
pub(super) fn keep<B>(
    state: &mut RequestState<B>,
    lease: &mut Lease,
    issued: Arc<Issued>,
    tried: Tried<B>,
    audit: Audit,
) where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let head = tried.response.as_ref().ok().map(|response| &*response.head);
    let status = head.map(|head| head.status);
    audit.end(&state.request, lease, &tried.verdict, head);
    if let Some(fault) = tried.verdict.fault() {
        let attempt = attempt(state, lease, fault.clone(), status);
        let failures = state.failures.get_or_insert_default();
        failures.attempts.push(attempt);
        failures.last = Some(tried.response);
    }
    lease.set_issued(issued);
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
