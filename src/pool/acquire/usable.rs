//! The number of usable keys, for health checks.

use crate::clock::Moment;
use crate::pool::keys::candidate::Place;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelLane;
use crate::pool::scope::shared_limit::Gate;

/// Returns the number of keys that an attempt could use now, if only for a probe.
pub(in crate::pool) fn count_usable(set: &KeySet, lane: Option<&ModelLane>, now: Moment) -> usize {
    let now = now.as_unix_ms();
    let places = (0..set.keys.len()).map(|key| Place::new(set, lane, key));
    places.filter(|place| place.is_open(now) && !is_waiting_for_others(*place, now)).count()
}

/// Returns whether the key waits for the canary of the shared limit detector.
fn is_waiting_for_others(place: Place<'_>, now: u64) -> bool {
    let mut gates = place.choruses().into_iter().filter_map(|chorus| place.held(chorus, now));
    gates.any(|gate| match gate {
        Gate::Held(until) => until.is_none_or(|until| until > now),
        Gate::Open | Gate::Trial => false,
    })
}
