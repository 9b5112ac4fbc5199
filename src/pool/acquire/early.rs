//! Early attempts: a waiter tries a key before the wait that its provider stated is over.
//!
//! Served requests can contradict a stated wait, mostly because it is rounded up to a whole second. The ledger
//! decides whether they do (see `search` of the limits). An attempt is early only for a request that waits and
//! has no other key. It is the only request of its scope, keeps the learned interval, and is a probe: its
//! success ends the cooldown, and its refusal restores the stated wait.

use std::time::Duration;

use crate::clock::Moment;
use crate::pool::AcquireRequest;
use crate::pool::acquire::admit::{Admission, admit_early};
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::Cause;

/// Admits a request for an early attempt, or returns the time until the next one; `None` if none is allowed.
pub(in crate::pool) fn attempt(
    set: &KeySet,
    model_state: Option<&ModelState>,
    request: &AcquireRequest<'_>,
    now: Moment,
) -> Result<Admission, Option<Duration>> {
    let mut next = None::<u64>;
    for candidate in set.live().map(|key| Candidate::new(set, model_state, key)) {
        let Some((level, at)) = allowed(candidate, request, now) else { continue };
        if at <= now.as_unix_us()
            && let Some(admitted) = admit_early(candidate, level, &request.cost, now)
        {
            candidate.sync(level, now.as_unix_ms());
            return Ok(admitted);
        }
        next = Some(next.map_or(at, |next| next.min(at)));
    }
    Err(next.map(|at| Moment::from_unix_us(at).saturating_since(now)))
}

/// Returns the scope whose stated wait alone keeps the key out, and the time of the next early attempt, in
/// microseconds since the Unix epoch.
fn allowed(candidate: Candidate<'_>, request: &AcquireRequest<'_>, now: Moment) -> Option<(Level, u64)> {
    if candidate.key().is_disabled() || !request.allows(candidate.set, candidate.key) {
        return None;
    }
    let mut closed =
        candidate.levels().iter().filter(|level| candidate.state(**level).is_closed(now.as_unix_ms()));
    let level = *closed.next()?;
    let state = candidate.state(level);
    if closed.next().is_some() || state.cause != Some(Cause::RateLimited) || state.probing {
        return None;
    }
    candidate.ledger(candidate.home())?.early_attempt(&request.cost, now).map(|at| (level, at))
}
