//! The state of the keys as metrics.

use crate::event::metrics;
use crate::pool::keys::common::Common;
use crate::pool::report::snapshot::{KeyState, PoolSnapshot};
use crate::provider::ModelId;

/// Sets the gauges of a pool: the number of keys in each state, the state of each key, the remainder of their limits,
/// and the number of keys that are usable for each model.
pub(in crate::pool) fn record(
    common: &Common,
    snapshot: &PoolSnapshot,
    usable: impl Fn(Option<&ModelId>) -> usize,
) {
    for state in KeyState::ALL {
        let is_in = snapshot.keys.iter().filter(|key| key.state == state);
        metrics::keys(&snapshot.provider, state.as_str(), is_in.count());
        for key in &snapshot.keys {
            metrics::key_state(&snapshot.provider, &key.id, state.as_str(), key.state == state);
        }
    }
    let Common { name, events, .. } = common;
    #[cfg(any(feature = "file-store", feature = "redis"))]
    events.stores().measure(name);
    for model in snapshot.models.iter().map(|it| Some(&it.model)).chain([None]) {
        events.measure_usable(name, model, usable(model));
    }
    for key in &snapshot.keys {
        let of_models = key.model_limits.iter();
        let of_models = of_models.flat_map(|it| it.limits.iter().map(|limit| (Some(&it.model), limit)));
        let limits = key.limits.iter().map(|limit| (None, limit)).chain(of_models);
        events.measure_left(name, (&key.id, key.account.as_ref()), limits);
    }
}
