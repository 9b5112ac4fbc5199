//! The state of the provider, behind one lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::request;
use tokio::time::Instant;

use super::account::{Account, SimAccount};
use super::builder::Dialect;
use super::key::{Latency, SimKey};
use super::limits::Pace;
use super::log::{Call, CallLog, Tally};
use super::meter::Meter;
use super::plan::Plan;
use super::request::Asked;
use super::script::Script;

/// The provider. Its lock is held for one decision, and never across an await.
pub(super) struct Shared {
    pub(super) dialect: Dialect,
    state: Mutex<State>,
}

pub(super) struct State {
    /// Keys in the order in which they were added. Labels are unique; of keys with the same secret the first
    /// counts.
    pub(super) keys: Vec<Key>,
    /// Accounts by name. Every account that a key names is in it.
    pub(super) accounts: HashMap<String, Account>,
    pub(super) script: Script,
    pub(super) latency: Latency,
    pub(super) event_gap: Duration,
    pub(super) words: usize,
    pub(super) rng: fastrand::Rng,
    pub(super) pace: Pace,
    pub(super) log: CallLog,
    /// Counts of all calls.
    pub(super) tally: Tally,
    /// Counts of the calls without a known key.
    pub(super) strangers: Tally,
    pub(super) in_flight: usize,
    /// Number of calls since the simulator was built. Resetting the counts leaves it alone, so that ids stay
    /// unique.
    pub(super) serial: u64,
}

pub(super) struct Key {
    pub(super) settings: SimKey,
    pub(super) meter: Meter,
    pub(super) tally: Tally,
    pub(super) in_flight: usize,
}

/// Guard of a call that was decided and has not ended.
pub(super) struct Open {
    shared: Arc<Shared>,
    key: Option<String>,
}

/// A call whose request is still arriving. If it is dropped before the decision, it is logged as cut off.
pub(super) struct Arrival {
    shared: Arc<Shared>,
    asked: Asked,
    at: Instant,
    decided: bool,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(dialect: Dialect, state: State) -> Self {
        Self { dialect, state: Mutex::new(state) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    pub(super) fn add_key(&mut self, settings: SimKey, now: Instant) {
        self.keys.retain(|key| key.settings.label != settings.label);
        let (account, broke) = (settings.account.clone(), settings.broke);
        self.keys.push(Key::new(settings, self.pace, now));
        let account = self
            .accounts
            .entry(account)
            .or_insert_with_key(|name| Account::new(SimAccount::new(name.clone()), self.pace));
        if broke {
            account.credit = Some(0);
        }
    }

    pub(super) fn key(&mut self, label: &str) -> Option<&mut Key> {
        self.keys.iter_mut().find(|key| key.settings.label == label)
    }

    pub(super) fn label_of(&self, secret: &str) -> Option<String> {
        let key = self.keys.iter().find(|key| key.settings.secret == secret)?;
        Some(key.settings.label.clone())
    }

    pub(super) fn reset_counts(&mut self) {
        self.log.clear();
        self.tally = Tally::default();
        self.strangers = Tally::default();
        for key in &mut self.keys {
            key.tally = Tally::default();
        }
    }

    pub(super) fn record(&mut self, call: Call) {
        self.tally.add(call.status);
        match call.key.as_deref().and_then(|label| self.key(label)) {
            Some(key) => key.tally.add(call.status),
            None => self.strangers.add(call.status),
        }
        self.log.push(call);
    }
}

// === impl Key ===

impl Key {
    fn new(mut settings: SimKey, pace: Pace, now: Instant) -> Self {
        settings.script = settings.script.start(now);
        let meter = Meter::new(settings.limits, settings.model_limits.clone(), pace);
        Self { settings, meter, tally: Tally::default(), in_flight: 0 }
    }
}

// === impl Open ===

impl Open {
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

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        if let Some(key) = self.key.as_deref().and_then(|label| state.key(label)) {
            key.in_flight = key.in_flight.saturating_sub(1);
        }
    }
}

// === impl Arrival ===

impl Arrival {
    pub(super) fn new(shared: Arc<Shared>, head: &request::Parts) -> Self {
        let asked = Asked::head(shared.dialect, head);
        Self { shared, asked, at: Instant::now(), decided: false }
    }

    /// Decides the call. `body` is all that is kept of the request body; `too_large` says that there was more
    /// than a provider accepts.
    pub(super) fn decide(mut self, body: &Bytes, too_large: bool) -> (Plan, Open) {
        self.decided = true;
        self.asked.read_body(body);
        let mut state = self.shared.lock();
        let (mut plan, key, fault) = Plan::draw(&mut state, &self.asked, too_large);
        let mut call = self.asked.call(self.at, key.clone());
        call.status = plan.status();
        call.fault = fault;
        call.body_complete = !too_large && self.asked.is_whole(body.len() as u64);
        state.record(call);
        let latency = key.as_deref().and_then(|label| state.key(label));
        let latency = latency.and_then(|key| key.settings.latency.clone());
        let latency = latency.unwrap_or_else(|| state.latency.clone());
        plan.delay += latency.draw(&mut state.rng);
        drop(state);
        (plan, Open::new(self.shared.clone(), key))
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if self.decided {
            return;
        }
        let mut state = self.shared.lock();
        let key = self.asked.secret.as_deref().and_then(|secret| state.label_of(secret));
        let call = self.asked.call(self.at, key);
        state.record(call);
    }
}
