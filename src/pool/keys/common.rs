//! The state that all key sets of a pool share: settings, detectors, the hub of events.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::clock::LatencyEstimate;
use crate::event::{EventKind, EventSource, Events, Severity};
use crate::pool::keys::selection::Selection;
use crate::pool::scope::auth_outage::AuthOutage;
use crate::pool::scope::cooldown::Cooldowns;
use crate::pool::scope::outage::Outage;
use crate::pool::scope::queue::Released;
use crate::provider::Provider;

/// The state that all key sets of a pool share. A lease reaches it through its set, so that it holds one
/// reference-counted pointer instead of two: every thread writes to such a counter.
pub(in crate::pool) struct Common {
    pub(in crate::pool) provider: Provider,
    /// The provider's name in the form that events carry.
    pub(in crate::pool) name: Arc<str>,
    pub(in crate::pool) selection: Selection,
    pub(in crate::pool) cooldowns: Cooldowns,
    pub(in crate::pool) learn_accounts: bool,
    /// Warning thresholds, as fractions of a limit in ascending order.
    pub(in crate::pool) warn_at: Box<[f64]>,
    /// The auth outage detector: whether the provider rather than its keys is at fault.
    pub(in crate::pool) auth_outage: AuthOutage,
    pub(in crate::pool) released: Released,
    pub(in crate::pool) outage: Outage,
    pub(in crate::pool) latency: LatencyEstimate,
    pub(in crate::pool) events: Events,
    /// Whether the warning about unreadable response encodings was emitted.
    pub(in crate::pool) said_unreadable: AtomicBool,
}

// === impl Common ===

impl Common {
    pub(in crate::pool) fn emit(&self, severity: Severity, kind: impl FnOnce() -> EventKind) {
        let source = EventSource { name: &self.name, system: Some(self.provider.system()) };
        self.events.emit(severity, source, kind);
    }
}
