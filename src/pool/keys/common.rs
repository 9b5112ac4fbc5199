//! The state that all key sets of a pool share: settings, detectors, models, queues, the hub of events.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "redis")]
use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use crate::clock::LatencyEstimate;
#[cfg(any(feature = "file-store", feature = "redis"))]
use crate::event::StoreNote;
use crate::event::{EventKind, EventSource, Events, Severity};
#[cfg(feature = "redis")]
use crate::limits::Sharing;
use crate::pool::keys::model::ModelStates;
use crate::pool::keys::model_counters::ModelCounters;
use crate::pool::keys::probe_rounds::ProbeRounds;
use crate::pool::keys::selection::Selection;
use crate::pool::keys::standing::FirstRefusals;
use crate::pool::scope::auth_outage::AuthOutage;
use crate::pool::scope::cooldown::Cooldowns;
use crate::pool::scope::outage::Outage;
use crate::pool::scope::queue::{Released, WaitQueues};
use crate::pool::scope::ready_bits::ReadyBits;
use crate::pool::scope::shared_limit::SharedLimitDetector;
use crate::provider::{Limit, Provider};

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
    /// The ready bits for every model.
    pub(in crate::pool) bits: ReadyBits,
    pub(in crate::pool) models: ModelStates,
    pub(in crate::pool) counters: ModelCounters,
    /// The link to the store that shares the declared limits; `None` if each instance counts alone.
    #[cfg(feature = "redis")]
    pub(in crate::pool) sharing: ArcSwapOption<Sharing>,
    pub(in crate::pool) shared_limit: SharedLimitDetector,
    /// Held while the assignment of keys to accounts changes, or the keys of the pool. No other code waits
    /// for it.
    learning: Mutex<()>,
    /// Held while a doubt about a key is raised or settled. No other code waits for it.
    provisionals: Mutex<FirstRefusals>,
    /// The endpoints that have tried scopes which refusals keep out.
    pub(in crate::pool) probe_rounds: ProbeRounds,
    /// The queue of requests that wait for a key for any model.
    pub(in crate::pool) queues: WaitQueues,
    /// Whether any known limit counts tokens. Once true, it stays true.
    counts_tokens: AtomicBool,
    /// The auth outage detector: whether the provider rather than its keys is at fault.
    pub(in crate::pool) auth_outage: AuthOutage,
    pub(in crate::pool) released: Released,
    /// Notified when a request of a disabled or removed key has ended.
    pub(in crate::pool) left: Notify,
    /// Notified when the keys have changed, and when the pool is gone.
    pub(in crate::pool) reloaded: Arc<Notify>,
    pub(in crate::pool) outage: Outage,
    pub(in crate::pool) latency: LatencyEstimate,
    pub(in crate::pool) events: Events,
    /// Whether the warning about unreadable response encodings was emitted.
    pub(in crate::pool) said_unreadable: AtomicBool,
}

/// The settings of a pool, without its keys.
pub(in crate::pool) struct Settings {
    pub(in crate::pool) provider: Provider,
    pub(in crate::pool) selection: Selection,
    pub(in crate::pool) cooldowns: Cooldowns,
    pub(in crate::pool) learn_accounts: bool,
    pub(in crate::pool) warn_at: Vec<f64>,
    /// The maximum number of models tracked.
    pub(in crate::pool) max_models: usize,
    pub(in crate::pool) events: Events,
}

// === impl Common ===

impl Common {
    /// Creates the state of a pool with room for this number of keys.
    pub(in crate::pool) fn new(settings: Settings, keys: usize) -> Self {
        let Settings { provider, selection, cooldowns, learn_accounts, warn_at, max_models, events } =
            settings;
        Self {
            name: provider.name().into(),
            provider,
            selection,
            cooldowns,
            learn_accounts,
            warn_at: warn_at.into(),
            bits: ReadyBits::new(keys),
            models: ModelStates::new(max_models),
            counters: ModelCounters::new(max_models),
            #[cfg(feature = "redis")]
            sharing: ArcSwapOption::default(),
            shared_limit: SharedLimitDetector::new(keys),
            learning: Mutex::default(),
            provisionals: Mutex::default(),
            probe_rounds: ProbeRounds::default(),
            queues: WaitQueues::default(),
            counts_tokens: false.into(),
            auth_outage: AuthOutage::default(),
            released: Released::default(),
            left: Notify::new(),
            reloaded: Arc::default(),
            outage: Outage::default(),
            latency: LatencyEstimate::default(),
            events,
            said_unreadable: false.into(),
        }
    }

    /// Returns whether any limit counts tokens.
    pub(in crate::pool) fn counts_tokens(&self) -> bool {
        self.counts_tokens.load(Ordering::Relaxed)
    }

    /// Records that a limit of tokens is known now.
    pub(in crate::pool) fn count_tokens(&self) {
        self.counts_tokens.store(true, Ordering::Relaxed);
    }

    /// Records that these limits are known now.
    pub(in crate::pool) fn saw_limits(&self, limits: &[Limit]) {
        let of_tokens = |limit: &Limit| limit.dimension.is_tokens();
        if !self.counts_tokens() && limits.iter().any(of_tokens) {
            self.count_tokens();
        }
    }

    /// Locks the first refusals of the keys.
    pub(in crate::pool) fn provisionals(&self) -> MutexGuard<'_, FirstRefusals> {
        self.provisionals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the assignment of keys to accounts.
    pub(in crate::pool) fn learning(&self) -> MutexGuard<'_, ()> {
        self.learning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a store of the state did, for the metrics of the hub.
    #[cfg(any(feature = "file-store", feature = "redis"))]
    pub(in crate::pool) fn note_store(&self, store: &'static str, note: StoreNote) {
        #[cfg(feature = "metrics")]
        self.events.stores().note(&self.name, store, note);
        #[cfg(not(feature = "metrics"))]
        let _ = (store, note);
    }

    pub(in crate::pool) fn emit(&self, severity: Severity, kind: impl FnOnce() -> EventKind) {
        let source = EventSource { name: &self.name, system: Some(self.provider.company()) };
        self.events.emit(severity, source, kind);
    }
}
