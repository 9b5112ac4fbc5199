//! The state of the provider, behind one lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::account::{Account, SimAccount};
use crate::answer::Responder;
use crate::dialect::Dialect;
use crate::key::{Latency, SimKey};
use crate::log::{Call, CallLog, Tally};
use crate::models::Models;
use crate::quota::{Gauges, Meter, Periods};
use crate::script::Script;

/// A provider that all handles share. Its lock is held for one decision, and never across an await.
pub(crate) struct Shared {
    pub(crate) dialect: Dialect,
    /// The function that chooses responses. It runs without the lock, so that it may use handles.
    pub(crate) responder: Option<Responder>,
    state: Mutex<State>,
}

/// The state of a provider.
pub(crate) struct State {
    /// Keys in the order in which they were added. Labels are unique; of keys with the same secret the first
    /// counts.
    pub(crate) keys: Vec<Key>,
    /// Accounts by name. Every account that a key names is in it.
    pub(crate) accounts: HashMap<String, Account>,
    /// The script that applies to every key.
    pub(crate) script: Script,
    /// The latency of keys without one of their own.
    pub(crate) latency: Latency,
    /// Time between two events of a stream.
    pub(crate) event_gap: Duration,
    /// Number of words in a response.
    pub(crate) words: usize,
    /// The source of random latencies.
    pub(crate) rng: fastrand::Rng,
    pub(crate) periods: Periods,
    pub(crate) models: Arc<Models>,
    pub(crate) log: CallLog,
    /// Counts of all calls.
    pub(crate) tally: Tally,
    /// Counts of the calls without a known key.
    pub(crate) unknown_keys: Tally,
    /// Number of calls whose response body has not ended.
    pub(crate) in_flight: usize,
    /// Number of calls since the simulator was built. Resetting the counts does not change it, so that ids stay
    /// unique.
    pub(crate) serial: u64,
}

/// The state of one key.
pub(crate) struct Key {
    pub(crate) settings: SimKey,
    pub(crate) meter: Meter,
    pub(crate) tally: Tally,
    pub(crate) in_flight: usize,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(dialect: Dialect, responder: Option<Responder>, state: State) -> Self {
        Self { dialect, responder, state: Mutex::new(state) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// Adds a key, and its account if that is new. A key with the same label is removed before.
    pub(crate) fn add_key(&mut self, settings: SimKey, now: Instant) {
        self.keys.retain(|key| key.settings.label != settings.label);
        let (account, out_of_credit) = (settings.account.clone(), settings.out_of_credit);
        self.keys.push(Key::new(settings, self.periods, now));
        let account = self
            .accounts
            .entry(account)
            .or_insert_with_key(|name| Account::new(SimAccount::new(name.clone()), self.periods));
        if out_of_credit {
            account.credit = Some(0);
        }
    }

    pub(crate) fn key(&mut self, label: &str) -> Option<&mut Key> {
        self.keys.iter_mut().find(|key| key.settings.label == label)
    }

    /// Returns the key with this label, and its account.
    pub(crate) fn key_and_account(&mut self, label: Option<&str>) -> Option<(&mut Key, &mut Account)> {
        let key = self.keys.iter_mut().find(|key| Some(key.settings.label.as_str()) == label)?;
        let account = self.accounts.get_mut(&key.settings.account)?;
        Some((key, account))
    }

    /// Returns the name of the key's account, and for each limit the tighter gauge of account and key.
    /// Without a key, the name is `sim` and there are no limits.
    pub(crate) fn gauges(&mut self, label: Option<&str>, model: &str, now: Instant) -> (String, Gauges) {
        let Some((key, account)) = self.key_and_account(label) else {
            return ("sim".to_owned(), Gauges::default());
        };
        let gauges = account.meter.gauges(model, now).tighter(key.meter.gauges(model, now));
        (key.settings.account.clone(), gauges)
    }

    /// Returns the label of the first key with this secret.
    pub(crate) fn label_of(&self, secret: &str) -> Option<String> {
        let key = self.keys.iter().find(|key| key.settings.secret == secret)?;
        Some(key.settings.label.clone())
    }

    /// Clears the log and all counts, except those of calls in flight.
    pub(crate) fn reset_counts(&mut self) {
        self.log.clear();
        self.tally = Tally::default();
        self.unknown_keys = Tally::default();
        for key in &mut self.keys {
            key.tally = Tally::default();
        }
    }

    /// Counts and logs a call.
    pub(crate) fn record(&mut self, call: Call) {
        self.tally.add(call.status);
        match call.key.as_deref().and_then(|label| self.key(label)) {
            Some(key) => key.tally.add(call.status),
            None => self.unknown_keys.add(call.status),
        }
        self.log.push(call);
    }
}

// === impl Key ===

impl Key {
    fn new(mut settings: SimKey, periods: Periods, now: Instant) -> Self {
        settings.script = settings.script.start(now);
        let meter = Meter::new(settings.limits, settings.model_limits.clone(), periods);
        Self { settings, meter, tally: Tally::default(), in_flight: 0 }
    }
}
