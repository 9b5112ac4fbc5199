//! Acquiring the next key of a request.

use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Moment;
use crate::error::StopReason;
use crate::exchange::future::with_deadline;
use crate::pool::{AcquireRequest, Lease, ModelUse, Rounds};
use crate::rotate::secret::fetch;
use crate::rotate::state::RequestState;

/// Acquires a key that the request has not tried, with its secret. A retry takes a tried key if there is no other. A
/// request that may wait takes the first key that becomes usable. A lease that is `held` already is taken.
///
/// A lease is large, and stays where it is held.
pub(super) async fn next_key<'l, B>(
    state: &mut RequestState<B>,
    held: &'l mut Option<Lease>,
) -> Result<&'l mut Lease, StopReason> {
    while held.is_none() {
        let models = state.config.pool.model_use();
        if models == ModelUse::Required {
            name_model(state).await?;
        }
        note_cost(state, models);
        *held = acquire_now(state);
        if held.is_none() {
            *held = wait_in_queue(state).await;
        }
        if held.as_ref().is_some_and(Lease::is_exclusive) {
            if !state.request.upload().has_ended() {
                // A probe is not held while the caller takes its time to send the body.
                *held = None;
                arrival(state).await?;
                *held = acquire_now(state);
                if held.is_none() {
                    *held = wait_in_queue(state).await;
                }
            }
            note_probe(state, held.as_ref());
        }
        if held.is_none() {
            *held = usable_elsewhere(state);
            note_probe(state, held.as_ref());
        }
        let Some(lease) = held else { break };
        let has_secret = lease.has_secret() || ready_first(state, lease);
        if state.context.as_ref().is_some_and(|context| !context.take_attempt()) {
            return Err(StopReason::AttemptLimit);
        }
        if !has_secret {
            match Box::pin(fetch(state, lease)).await {
                Ok(()) => {}
                Err(Some(reason)) => return Err(reason),
                Err(None) if state.is_late() => return Err(StopReason::Deadline),
                Err(None) => *held = None,
            }
        }
    }
    held.as_mut().ok_or_else(|| no_key(state))
}

/// Reads the model and the cost of the request, as far as the pool depends on them.
fn note_cost<B>(state: &mut RequestState<B>, models: ModelUse) {
    let pool = &state.config.pool;
    if models != ModelUse::Unused {
        state.request.model(pool.provider());
    }
    if pool.counts_tokens() {
        state.cost = state.request.cost(&state.config.estimator);
    }
}

/// Replaces the lease of a key whose secret would have to be fetched first by that of a key that has one, if such a key
/// is usable. Returns whether the lease now has a secret.
#[cold]
fn ready_first<B>(state: &RequestState<B>, lease: &mut Lease) -> bool {
    let mut passed = [state.tried(), std::slice::from_ref(lease.key_id())].concat();
    let now = Moment::now();
    while let Ok(other) = state.config.pool.acquire_at(&state.wanted(&passed), now) {
        if other.has_secret() {
            *lease = other;
            return true;
        }
        passed.push(other.key_id().clone());
    }
    false
}

/// Returns the reason for which the request gets no key.
fn no_key<B>(state: &RequestState<B>) -> StopReason {
    let is_served = state.config.pool.may_serve(&state.wanted(&[]));
    if is_served { StopReason::Exhausted } else { StopReason::NoKeyMayServe }
}

/// Reads the model if the pool declares limits or keys for single models. A request whose model can't be read is not
/// sent, because it would use limits that do not count it.
async fn name_model<B>(state: &mut RequestState<B>) -> Result<(), StopReason> {
    if state.has_failed() || state.request.known_model().is_some() {
        return Ok(());
    }
    if !state.request.upload().has_ended() {
        arrival(state).await?;
    }
    let is_sure = state.request.name_model(state.config.pool.provider());
    if is_sure { Ok(()) } else { Err(StopReason::UnreadableModel) }
}

/// Acquires a usable key without waiting. The first attempt of a request that may wait acquires nothing here: it
/// queues behind the requests that wait already.
fn acquire_now<B>(state: &RequestState<B>) -> Option<Lease> {
    let may_pass = may_wait_until(state).is_none() || state.has_failed();
    second_opinion(state).or_else(|| if may_pass { usable_now(state) } else { None })
}

/// Waits until the body has arrived, or as much of it as can be recorded.
fn arrival<B>(state: &RequestState<B>) -> Pin<Box<dyn Future<Output = Result<(), StopReason>> + Send>> {
    let (upload, deadline) = (state.request.upload(), state.request.own_deadline());
    Box::pin(async move {
        with_deadline(deadline, pin!(upload.record())).await.map_err(|_late| StopReason::Deadline)
    })
}

/// Waits in the queue of the pool, if the request may wait. Boxed, because most requests do not wait.
fn wait_in_queue<B>(state: &RequestState<B>) -> Pin<Box<dyn Future<Output = Option<Lease>> + Send + '_>> {
    let refused = state.failures.as_deref().map_or(&[][..], |failures| failures.tried.refused());
    let (pool, wanted, until) = (&state.config.pool, state.wanted(refused), may_wait_until(state));
    // A part, because the whole state can't be shared with another thread.
    let request = &state.request;
    Box::pin(async move { pool.acquire_until(&wanted, Some(&|| request.endpoint()), until?).await.ok() })
}

fn usable_now<B>(state: &RequestState<B>) -> Option<Lease> {
    let now = Moment::now();
    let acquire = |tried| state.config.pool.acquire_at(&state.wanted(tried), now).ok();
    let Some(failures) = state.failures.as_deref() else { return acquire(&[]) };
    acquire(failures.tried.all()).or_else(|| failures.retrying.then(|| acquire(failures.tried.refused()))?)
}

/// Notes that the endpoint of the request tries a key, if the lease is a probe.
#[cold]
fn note_probe<B>(state: &RequestState<B>, held: Option<&Lease>) {
    if let Some(lease) = held {
        lease.note_probe(state.request.endpoint());
    }
}

/// Acquires a key in cooldown that was refused at other endpoints, while other keys are usable. The request can be
/// sent again if it is refused here too.
fn second_opinion<B>(state: &RequestState<B>) -> Option<Lease> {
    let wanted = || state.request.is_replayable().then(|| state.wanted(state.tried()));
    if state.has_failed() { None } else { untried_here(state, Rounds::Open, wanted) }
}

/// Acquires a key in cooldown that was refused at other endpoints.
fn usable_elsewhere<B>(state: &RequestState<B>) -> Option<Lease> {
    untried_here(state, Rounds::All, || Some(state.wanted(state.tried())))
}

/// Acquires a key in cooldown that the endpoint of the request has not tried in these rounds.
fn untried_here<'r, B>(
    state: &'r RequestState<B>,
    among: Rounds,
    wanted: impl FnOnce() -> Option<AcquireRequest<'r>>,
) -> Option<Lease> {
    state.config.pool.probe_at(among, || state.request.endpoint(), wanted)
}

/// Returns the time at which waiting for a key has to end. `None` if the request may not wait.
///
/// In a chain the chain decides: it lets a request wait if no other link is usable, or up to its `patience`.
/// Otherwise the layer's `wait_for_key` setting decides.
fn may_wait_until<B>(state: &RequestState<B>) -> Option<Instant> {
    // Other requests wait for any key, and a free key must not be offered to one that can't use it.
    if state.request.home(state.config.pool.provider()).is_some() {
        return None;
    }
    let longest = match &state.context {
        Some(context) => context.longest_wait(!state.has_failed())?,
        None => Some(Duration::MAX).filter(|_| state.config.wait_for_key)?,
    };
    let fits = state.request.deadline().map(|deadline| state.config.pool.latest_start(deadline));
    let patient = Instant::now().checked_add(longest);
    fits.into_iter().chain(patient).min()
}
