//! The reason why no key is usable.

use crate::classify::Reason;
use crate::clock::Moment;
use crate::pool::AcquireRequest;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, State};

/// Returns the reason that keeps out the key that clears most easily. `None` if no cooldown keeps that key
/// out, but a limit or requests in flight.
pub(in crate::pool) fn held_by(
    set: &KeySet,
    model_state: Option<&ModelState>,
    request: &AcquireRequest<'_>,
    now: Moment,
) -> Option<Reason> {
    let served = set.live().filter(|key| request.may_be_served_by(*key));
    let candidates = served.map(|key| Candidate::new(set, model_state, key));
    let held =
        candidates.map(|candidate| most_lasting(candidate, now.as_unix_ms())).min_by_key(|held| ring(*held));
    held.unwrap_or(Some(Reason::InvalidKey))
}

/// Returns the most lasting reason among the cooldowns of the key. A disabled key counts as invalid.
fn most_lasting(candidate: Candidate<'_>, now: u64) -> Option<Reason> {
    if candidate.key().is_disabled() {
        return Some(Reason::InvalidKey);
    }
    let states = Level::ALL.into_iter().map(|level| candidate.state(level));
    let reasons = states.filter(|state| state.is_closed(now)).filter_map(reason);
    reasons.max_by_key(|reason| ring(Some(*reason)))
}

fn reason(state: State) -> Option<Reason> {
    Some(match state.cause? {
        Cause::RateLimited | Cause::Guessed | Cause::Paced | Cause::Forced => Reason::RateLimited,
        Cause::QuotaExceeded => Reason::QuotaExceeded,
        Cause::Forbidden => Reason::Forbidden,
        Cause::Invalid => Reason::InvalidKey,
    })
}

/// Ranks reasons: the higher, the less easily a reason clears.
const fn ring(reason: Option<Reason>) -> u8 {
    match reason {
        None => 0,
        Some(Reason::RateLimited) => 1,
        Some(Reason::QuotaExceeded) => 2,
        Some(Reason::Forbidden) => 3,
        Some(_) => 4,
    }
}
