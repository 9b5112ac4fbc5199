//! Probes at another endpoint, of keys that were refused at some endpoints only.
//!
//! Unconfirmed refusals at one endpoint put a key into a cooldown after a minute (see `provisional`), and all keys
//! of a pool if all are refused. It is still open whether the keys or that endpoint are to blame. So if no
//! key is usable, a request for another endpoint probes one of them at once, and its success frees the key. A
//! refusal there is the second piece of evidence. Each endpoint has one such probe of a key, so a caller that is
//! refused at several endpoints takes no key from the requests for others.
//!
//! A refusal that another key's success confirmed may concern that endpoint only, too. Such a key is probed by the next
//! request for another endpoint, even if other keys are usable.

use crate::clock::Moment;
use crate::pool::AcquireRequest;
use crate::pool::acquire::admit::{Admission, admit_early};
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, State};

/// Keys that were refused at one endpoint only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedElsewhere {
    /// All of them.
    Any,
    /// Those whose refused request another key has served.
    Confirmed,
}

/// Admits a request for a probe to a key that was refused only at other endpoints. `endpoint` returns the
/// hash of the request's destination.
pub(in crate::pool) fn probe(
    set: &KeySet,
    model_state: Option<&ModelState>,
    refused: RefusedElsewhere,
    endpoint: impl FnOnce() -> u64,
    request: &AcquireRequest<'_>,
    now: Moment,
) -> Option<Admission> {
    if set.common.provisionals().is_empty() {
        return None;
    }
    let keys = match refused {
        RefusedElsewhere::Any => refused_elsewhere(set, endpoint()),
        RefusedElsewhere::Confirmed => untried_here(set, endpoint()),
    };
    if keys.is_empty() {
        return None;
    }
    let candidates =
        set.live().filter(|key| keys.contains(key)).map(|key| Candidate::new(set, model_state, key));
    candidates
        .filter(|candidate| !candidate.key().is_disabled() && request.allows(set, candidate.key))
        .find_map(|candidate| admit_early(candidate, only_refused(candidate, now)?, &request.cost, now))
}

fn refused_elsewhere(set: &KeySet, endpoint: u64) -> Vec<usize> {
    let refusals = set.common.provisionals();
    let is_elsewhere = |key: &usize| refusals.is_only_elsewhere(*key, &set.keys[*key].served, endpoint);
    set.live().filter(is_elsewhere).collect()
}

/// Returns the keys that are worth a try at this endpoint, and notes if none is at any.
fn untried_here(set: &KeySet, endpoint: u64) -> Vec<usize> {
    let refusals = set.common.provisionals();
    let served = |key: usize| set.keys.get(key).map(|key| &key.served);
    let (mut here, mut any) = (Vec::new(), false);
    for (key, is_here) in refusals.untried(endpoint, served) {
        any = true;
        here.extend(is_here.then_some(key));
    }
    set.common.seek_second_opinion(any);
    here
}

/// Returns the scope whose refusals keep the key out, if nothing else does.
fn only_refused(candidate: Candidate<'_>, now: Moment) -> Option<Level> {
    let mut closed =
        candidate.levels().iter().filter(|level| candidate.state(**level).is_closed(now.as_unix_ms()));
    let level = *closed.next().filter(|level| is_refused(candidate.state(**level)))?;
    closed.next().is_none().then_some(level)
}

const fn is_refused(state: State) -> bool {
    matches!(state.cause, Some(Cause::Invalid | Cause::QuotaExceeded | Cause::Forbidden))
}
