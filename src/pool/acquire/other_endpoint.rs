//! Tries of keys that refusals keep out, by requests for endpoints that have not tried them.
//!
//! Unconfirmed refusals at one endpoint put a key into a cooldown after a minute (see `provisional`), and all keys
//! of a pool if all are refused. It is still open whether the keys or that endpoint are to blame. So each other endpoint has
//! one try of the key, and again one after each scheduled probe (see [`probe_rounds`](crate::pool::keys::probe_rounds)).
//! Its success frees the key. So a caller that is refused at several endpoints takes no key from the requests for
//! others, neither when an outage begins nor when it ends.
//!
//! A refusal that another key's success confirmed may concern that endpoint only, too. Such a key is tried by the next
//! request for another endpoint, even if other keys are usable.

use crate::clock::Moment;
use crate::pool::AcquireRequest;
use crate::pool::acquire::admit::{Admission, admit_early};
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::keys::probe_rounds::{Rounds, ScopeId};
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::Slot;

/// Admits a request to a key that its endpoint has not tried in these rounds. `endpoint` returns the hash of the
/// request's destination.
pub(in crate::pool) fn probe(
    set: &KeySet,
    model_state: Option<&ModelState>,
    among: Rounds,
    endpoint: impl FnOnce() -> u64,
    request: &AcquireRequest<'_>,
    now: Moment,
) -> Option<Admission> {
    let candidates = set.live().map(|key| Candidate::new(set, model_state, key));
    let may_serve =
        |candidate: &Candidate<'_>| !candidate.key().is_disabled() && request.allows(set, candidate.key);
    let refused = candidates.filter(may_serve).filter_map(|candidate| {
        let level = only_refused(candidate, now)?;
        Some((candidate.scope_id(level), (candidate, level)))
    });
    let untried = set.common.probe_rounds.untried(among, endpoint, refused);
    if untried.is_empty() && among == Rounds::Open {
        set.common.probe_rounds.retain(|scope| is_out(set, scope, now.as_unix_ms()));
    }
    untried.into_iter().find_map(|(candidate, level)| admit_early(candidate, level, &request.cost, now))
}

/// Returns the scope whose refusals keep the key out, if nothing else does.
fn only_refused(candidate: Candidate<'_>, now: Moment) -> Option<Level> {
    let mut closed =
        candidate.levels().iter().filter(|level| candidate.state(**level).is_closed(now.as_unix_ms()));
    let level = *closed.next().filter(|level| candidate.state(**level).is_of_refusal())?;
    closed.next().is_none().then_some(level)
}

/// Returns whether refusals keep a scope out.
fn is_out(set: &KeySet, scope: &ScopeId, now: u64) -> bool {
    let is_out = |slot: &Slot| slot.state().is_of_refusal() && slot.state().is_closed(now);
    let model_state = scope.model.as_ref().and_then(|model| set.common.models.get(model));
    let slot = match scope.level {
        Level::Key => set.keys.get(scope.number).map(|key| &key.slot),
        Level::Account => set.accounts.get(scope.number).map(|account| &account.slot),
        Level::KeyModel => model_state.as_deref().and_then(|model_state| model_state.keys.get(scope.number)),
        Level::AccountModel => {
            model_state.as_deref().and_then(|model_state| model_state.accounts.get(scope.number))
        }
    };
    slot.is_some_and(is_out)
}
