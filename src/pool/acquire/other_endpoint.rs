//! Probes at another endpoint, of keys that were refused at one endpoint only.
//!
//! Unconfirmed refusals at one endpoint put a key into a cooldown after a minute (see `doubt`), and all keys
//! of a pool if all are refused. It is still open whether the keys or that endpoint are to blame. So if no
//! key is usable, a request for another endpoint probes one of them at once, and its success frees the key. A
//! refusal there is the second witness; afterwards the key is probed like any other.

use crate::clock::Moment;
use crate::pool::Ask;
use crate::pool::acquire::admit::{Admitted, admit_early};
use crate::pool::keys::candidate::Place;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelLane;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, State};

/// Admits a request for a probe to a key that was refused only at other endpoints. `endpoint` returns the
/// hash of the request's destination.
pub(in crate::pool) fn probe(
    set: &KeySet,
    lane: Option<&ModelLane>,
    endpoint: impl FnOnce() -> u64,
    ask: &Ask<'_>,
    now: Moment,
) -> Option<Admitted> {
    if set.doubts().is_empty() {
        return None;
    }
    let endpoint = endpoint();
    let refused = |key: &usize| set.doubts().is_only_elsewhere(*key, &set.keys[*key].served, endpoint);
    (0..set.keys.len())
        .filter(refused)
        .map(|key| Place::new(set, lane, key))
        .filter(|place| !place.key().is_disabled() && ask.allows(&place.key().id))
        .find_map(|place| admit_early(place, only_refused(place, now)?, &ask.need, now))
}

/// Returns the scope whose refusals keep the key out, if nothing else does.
fn only_refused(place: Place<'_>, now: Moment) -> Option<Level> {
    let mut closed = place.levels().iter().filter(|level| place.state(**level).is_closed(now.as_unix_ms()));
    let level = *closed.next().filter(|level| is_refused(place.state(**level)))?;
    closed.next().is_none().then_some(level)
}

const fn is_refused(state: State) -> bool {
    matches!(state.cause, Some(Cause::Invalid | Cause::QuotaExceeded | Cause::Forbidden))
}
