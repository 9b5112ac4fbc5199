//! The number of usable keys, for health checks.

use crate::clock::Moment;
use crate::pool::AcquireRequest;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::scope::shared_limit::CanaryGate;

/// Returns the number of keys that an attempt could use now, if only for a probe.
pub(in crate::pool) fn count_usable(
    set: &KeySet,
    model_state: Option<&ModelState>,
    request: &AcquireRequest<'_>,
    now: Moment,
) -> usize {
    let now = now.as_unix_ms();
    let served = set.live().filter(|key| request.may_be_served_by(*key));
    let candidates = served.map(|key| Candidate::new(set, model_state, key));
    candidates.filter(|candidate| candidate.is_open(now) && !is_waiting_for_others(*candidate, now)).count()
}

/// Returns whether the key waits for the canary of the shared limit detector.
fn is_waiting_for_others(candidate: Candidate<'_>, now: u64) -> bool {
    let mut gates =
        candidate.shared_limits().into_iter().filter_map(|shared_limit| candidate.held(shared_limit, now));
    gates.any(|gate| match gate {
        CanaryGate::Held(until) => until.is_none_or(|until| until > now),
        CanaryGate::Open | CanaryGate::Canary => false,
    })
}
