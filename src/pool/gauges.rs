//! The state of the keys as metrics.

use super::snapshot::KeyState;
use super::{Common, KeyPool};
use crate::event::metrics;

impl KeyPool {
    /// Sets the gauges of how many keys are in each state, which, and what is left of their limits: call it
    /// before each scrape, or every few seconds. A cooldown ends and a limit comes back without an event, so that
    /// nothing but a look can tell.
    ///
    /// Sets seven gauges a key, and one for each of its limits that is known and each model that those are for; these
    /// only if its hub [keeps count](crate::event::Events::with_metrics). For which models a key is out of use is
    /// not in them; see [`snapshot`](Self::snapshot) for that.
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
