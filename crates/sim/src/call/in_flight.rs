//! The count of calls in flight.

use std::sync::Arc;

use crate::state::Shared;

/// Guard of a call: it counts as in flight until the guard is dropped.
pub(super) struct InFlight {
    shared: Arc<Shared>,
    key: Option<String>,
}

// === impl InFlight ===

impl InFlight {
    pub(super) fn new(shared: Arc<Shared>, key: Option<String>) -> Self {
        let mut state = shared.lock();
        state.in_flight += 1;
        if let Some(key) = key.as_deref().and_then(|label| state.key(label)) {
            key.in_flight += 1;
        }
        drop(state);
        Self { shared, key }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        if let Some(key) = self.key.as_deref().and_then(|label| state.key(label)) {
            key.in_flight = key.in_flight.saturating_sub(1);
        }
    }
}
