//! The states of circuit breakers, as their events report them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tower_key_rotation::clock::Timestamp;
use tower_key_rotation::event::{Event, EventKind};

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BreakerState {
    /// The provider is used.
    #[default]
    Closed,
    /// One request tests the provider.
    HalfOpen,
    /// The provider is skipped.
    Open,
}

/// The state of a circuit breaker, and its times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// The state.
    pub state: BreakerState,
    /// The time at which the state began. `None` if it never changed.
    pub since: Option<Timestamp>,
    /// The time from which a request may test the provider. `None` unless the breaker is open.
    pub until: Option<Timestamp>,
}

/// The breakers by provider. Those that never opened are not included.
#[derive(Default)]
pub(super) struct Breakers(BTreeMap<Arc<str>, BreakerStatus>);

// === impl Breakers ===

impl Breakers {
    pub(super) fn record(&mut self, event: &Event) {
        let (state, until) = match event.kind {
            EventKind::BreakerOpened { wait, .. } => {
                (BreakerState::Open, Some(event.at.saturating_add(wait)))
            }
            EventKind::BreakerHalfOpen => (BreakerState::HalfOpen, None),
            EventKind::BreakerClosed => (BreakerState::Closed, None),
            _ => return,
        };
        self.0.insert(Arc::clone(&event.provider), BreakerStatus { state, since: Some(event.at), until });
    }

    pub(super) fn of(&self, provider: &str) -> BreakerStatus {
        self.0.get(provider).copied().unwrap_or_default()
    }
}
