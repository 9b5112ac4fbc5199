//! Finding a usable key, and admitting a request to it.

pub(in crate::pool) mod admit;
pub(in crate::pool) mod availability;
pub(in crate::pool) mod early;
pub(in crate::pool) mod exhausted;
pub(in crate::pool) mod held;
pub(in crate::pool) mod other_endpoint;
pub(in crate::pool) mod request;
pub(in crate::pool) mod reserve;
pub(in crate::pool) mod search;
pub(in crate::pool) mod usable;

use std::sync::Arc;

use crate::clock::Moment;
use crate::pool::acquire::admit::{Admission, admit};
use crate::pool::acquire::availability::exhausted;
use crate::pool::acquire::exhausted::Exhausted;
use crate::pool::acquire::request::AcquireRequest;
use crate::pool::acquire::search::{KeySearch, find_anywhere};
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::keys::refresh::refresh;
use crate::pool::learn::outage;
use crate::pool::scope::auth_outage::OtherKeys;

/// Finds a usable key for a request, and admits the request to it.
///
/// A due probe of an auth outage comes first, because no other request would take it. Then the ready bits
/// show the keys that are worth a look.
pub(in crate::pool) fn acquire(
    set: &Arc<KeySet>,
    model_state: Option<&ModelState>,
    request: &AcquireRequest<'_>,
    now: Moment,
) -> Result<Admission, Exhausted> {
    refresh(set, model_state, now.as_unix_ms());
    let mut taken = outage::probe(set, model_state, request, OtherKeys::Usable, now);
    if taken.is_none() {
        KeySearch { set, model: model_state, request, now }.any(|candidate| {
            taken = admit(candidate, &request.cost, now);
            taken.is_some()
        });
    }
    match taken {
        Some(taken) => Ok(taken),
        None => last_resort(set, model_state, request, now),
    }
}

/// Looks at every key after the bitmaps have shown none: for a key that they missed, or for a probe of keys
/// that only appear to be invalid.
fn last_resort(
    set: &KeySet,
    model_state: Option<&ModelState>,
    request: &AcquireRequest<'_>,
    now: Moment,
) -> Result<Admission, Exhausted> {
    let untried = |candidate: &Candidate<'_>| request.allows(set, candidate.key);
    let take =
        |candidate: Candidate<'_>| untried(&candidate).then(|| admit(candidate, &request.cost, now))?;
    let missed = find_anywhere(set, model_state, now.as_unix_ms(), take);
    let probe = || outage::probe(set, model_state, request, OtherKeys::None, now);
    missed.or_else(probe).ok_or_else(|| exhausted(set, model_state, request, now))
}
