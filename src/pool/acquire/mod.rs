//! Finding a usable key, and admitting a request to it.

pub(in crate::pool) mod admit;
pub(in crate::pool) mod availability;
pub(in crate::pool) mod exhausted;
pub(in crate::pool) mod held;
pub(in crate::pool) mod other_endpoint;
pub(in crate::pool) mod request;
pub(in crate::pool) mod reserve;
pub(in crate::pool) mod search;
pub(in crate::pool) mod usable;

use std::sync::Arc;

use crate::clock::Moment;
use crate::pool::acquire::admit::{Admitted, admit};
use crate::pool::acquire::availability::exhausted;
use crate::pool::acquire::exhausted::Exhausted;
use crate::pool::acquire::request::Ask;
use crate::pool::acquire::search::{KeySearch, find_anywhere};
use crate::pool::keys::candidate::Place;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelLane;
use crate::pool::keys::refresh::refresh;
use crate::pool::learn::outage::Others;

/// Finds a usable key for a request, and admits the request to it.
///
/// A due probe of an auth outage comes first, because no other request would take it. Then the ready bits
/// show the keys that are worth a look.
pub(in crate::pool) fn acquire(
    set: &Arc<KeySet>,
    lane: Option<&ModelLane>,
    ask: &Ask<'_>,
    now: Moment,
) -> Result<Admitted, Exhausted> {
    refresh(set, lane, now.as_unix_ms());
    let mut taken = set.common.suspicion.probe(set, lane, ask, Others::Usable, now);
    if taken.is_none() {
        KeySearch { set, model: lane, ask, now }.any(|place| {
            taken = admit(place, &ask.need, now);
            taken.is_some()
        });
    }
    match taken {
        Some(taken) => Ok(taken),
        None => last_resort(set, lane, ask, now),
    }
}

/// Looks at every key after the bitmaps have shown none: for a key that they missed, or for a probe of keys
/// that only appear to be invalid.
fn last_resort(
    set: &KeySet,
    lane: Option<&ModelLane>,
    ask: &Ask<'_>,
    now: Moment,
) -> Result<Admitted, Exhausted> {
    let untried = |place: &Place<'_>| ask.allows(&place.key().id);
    let take = |place: Place<'_>| untried(&place).then(|| admit(place, &ask.need, now))?;
    let missed = find_anywhere(set, lane, now.as_unix_ms(), take);
    let probe = || set.common.suspicion.probe(set, lane, ask, Others::None, now);
    missed.or_else(probe).ok_or_else(|| exhausted(set, lane, ask, now))
}
