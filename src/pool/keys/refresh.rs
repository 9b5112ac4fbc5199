//! Bringing what is known of keys and models up to date when a request asks.

use std::sync::Arc;

use crate::clock::{Moment, Timestamp};
#[cfg(feature = "redis")]
use crate::limits::shared;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::keys::model_counters::{ModelLedgers, Patterns};
use crate::pool::scope::level::Level;
use crate::pool::scope::ready_bits::{Bar, group};
use crate::provider::ModelId;

/// Sets the ready bits of keys that have become usable.
pub(in crate::pool) fn refresh(set: &KeySet, model: Option<&ModelState>, now: u64) {
    let candidate = |model_state, key| (key < set.keys.len()).then(|| Candidate::new(set, model_state, key));
    set.common.bits.refresh(now, |key| {
        let candidate = candidate(None, key).filter(|candidate| !candidate.key().is_disabled())?;
        deadline(candidate, Level::OF_KEY, now)
    });
    if let Some(model_state) = model {
        model_state
            .bits
            .refresh(now, |key| deadline(candidate(Some(model_state), key)?, Level::OF_MODEL, now));
    }
}

/// Returns the lane of a model, if it exists or a limit is declared for the model.
pub(in crate::pool) fn state_of(set: &KeySet, model: &ModelId, now: Timestamp) -> Option<Arc<ModelState>> {
    let known = set.common.models.get_used(model, now.as_unix_ms());
    known.or_else(|| set.quotas.are_for(model).then(|| new_model_state(set, model, now)))
}

/// Returns the lane of a model, and creates it if it does not exist.
pub(in crate::pool) fn new_model_state(set: &KeySet, model: &ModelId, now: Timestamp) -> Arc<ModelState> {
    set.common.models.touch(model, now.as_unix_ms(), || create_lane(set, model, now))
}

/// Creates the lane of a model, with the ledgers of its declared quotas.
fn create_lane(set: &KeySet, model: &ModelId, now: Timestamp) -> ModelState {
    let lengths = (set.keys.len(), set.accounts.len());
    let ledgers = |group: Option<&Patterns>| set.with_latest(|set| declared(set, model, group));
    let matched = set.quotas.matched_by(model.as_str());
    let ledgers = if matched.is_empty() {
        Arc::new(ledgers(None))
    } else {
        let let_go = || forget_idle_models(set, now.into());
        let patterns = (matched, set.quotas.patterns());
        set.common.counters.of(model, patterns, now.into(), let_go, ledgers)
    };
    ModelState::new(model.clone(), ledgers, lengths, now.as_unix_ms())
}

/// Creates the ledgers of the declared quotas of a model, or of a group of patterns.
fn declared(set: &KeySet, model: &ModelId, group: Option<&Patterns>) -> ModelLedgers {
    let ledgers = ModelLedgers::new(set.accounts.len(), group.cloned());
    let accounts = set.accounts.iter().map(|account| &**account).enumerate();
    let keys = set.live().map(|key| (key, &set.keys[key].spec));
    set.quotas.declare(&ledgers, model.as_str(), accounts, keys);
    // Shared before the first request takes anything. The names of a group differ between instances.
    #[cfg(feature = "redis")]
    if let Some(sharing) = set.common.sharing.load_full().filter(|_| group.is_none()) {
        ledgers.all().for_each(|ledger| shared::share(ledger, &sharing, true, Moment::now()));
    }
    ledgers
}

/// Forgets the models that are unused, have no counts, and for which no key is closed.
fn forget_idle_models(set: &KeySet, now: Moment) {
    let mut keys: Vec<_> = set.live().collect();
    keys.sort_unstable();
    let keys = group(keys);
    set.common.models.forget(|model_state| {
        refresh(set, Some(model_state), now.as_unix_ms());
        model_state.bits.shows(&keys) && model_state.ledgers.is_untouched(now)
    });
}

/// Returns the time at which both scopes are open: zero if they are open now, `None` if that does not depend
/// on time.
fn deadline(candidate: Candidate<'_>, levels: [Level; 2], now: u64) -> Option<u64> {
    let mut latest = 0;
    for level in levels {
        match candidate.bar(level, now) {
            Bar::Open => {}
            Bar::Until(until) => latest = latest.max(until),
            Bar::Shut => return None,
        }
    }
    Some(latest)
}
