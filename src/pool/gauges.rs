//! The state of the keys as metrics.

use super::KeyPool;
use super::snapshot::KeyState;
use crate::event::metrics;

impl KeyPool {
    /// Sets the gauges of how many keys are in each state, and which: call it before each scrape, or every few
    /// seconds. A cooldown ends without an event, so that nothing but a look can tell.
    ///
    /// Sets seven gauges a key. What is true for single models only is not in them; see
    /// [`snapshot`](Self::snapshot) for that.
    pub fn record_metrics(&self) {
        let snapshot = self.snapshot();
        for state in KeyState::ALL {
            let is_in = snapshot.keys.iter().filter(|key| key.state == state);
            metrics::keys(&snapshot.provider, state.as_str(), is_in.count());
            for key in &snapshot.keys {
                metrics::key_state(&snapshot.provider, &key.id, state.as_str(), key.state == state);
            }
        }
    }
}
