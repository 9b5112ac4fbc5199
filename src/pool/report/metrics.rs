//! The state of the keys as metrics.

use crate::event::metrics;
use crate::pool::report::snapshot::KeyState;
use crate::pool::{Common, KeyPool};

impl KeyPool {
    /// Sets the gauges of the pool: the number of keys in each state, the state of each key, and the
    /// remainder of their limits. Call it before each scrape, or every few seconds, because a cooldown ends
    /// and a limit resets without an event.
    ///
    /// It sets seven gauges for each key, and one for each known limit and model of the key. Those of limits
    /// are set only if the pool's hub [keeps count](crate::event::Events::with_metrics). The models for which
    /// a key is in cooldown are not included; see [`snapshot`](Self::snapshot) for those.
    pub fn record_metrics(&self) {
        let snapshot = self.snapshot();
        for state in KeyState::ALL {
            let is_in = snapshot.keys.iter().filter(|key| key.state == state);
            metrics::keys(&snapshot.provider, state.as_str(), is_in.count());
            for key in &snapshot.keys {
                metrics::key_state(&snapshot.provider, &key.id, state.as_str(), key.state == state);
            }
        }
        let Common { name, events, .. } = &*self.0.common;
        for key in &snapshot.keys {
            let of_models = key.model_limits.iter();
            let of_models = of_models.flat_map(|it| it.limits.iter().map(|limit| (Some(&it.model), limit)));
            let limits = key.limits.iter().map(|limit| (None, limit)).chain(of_models);
            events.measure_left(name, (&key.id, key.account.as_ref()), limits);
        }
    }
}
