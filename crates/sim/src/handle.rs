//! Handles to the keys and accounts of a running simulator.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::account::Account;
use super::fault::SimFault;
use super::limits::Limits;
use super::log::Tally;
use super::meter::Headroom;
use super::script::Script;
use super::state::{Key, Shared};

/// A handle to one key of a running [`Simulator`](super::Simulator).
///
/// Changes apply from the next call on. If the key has been removed, all counts are zero and changes have no
/// effect.
#[derive(Clone)]
pub struct KeyHandle {
    shared: Arc<Shared>,
    label: String,
}

/// A handle to one account of a running [`Simulator`](super::Simulator).
///
/// Changes apply from the next call on.
#[derive(Clone)]
pub struct AccountHandle {
    shared: Arc<Shared>,
    name: String,
}

// === impl KeyHandle ===

impl KeyHandle {
    pub(super) fn new(shared: Arc<Shared>, label: &str) -> Self {
        Self { shared, label: label.to_owned() }
    }

    /// Returns the number of calls with this key.
    pub fn calls(&self) -> u64 {
        self.tally().total
    }

    /// Returns the number of calls with this key whose response had `status`.
    pub fn calls_with(&self, status: StatusCode) -> u64 {
        self.tally().with(status)
    }

    /// Returns the calls with this key, counted by the status of their response.
    pub fn tally(&self) -> Tally {
        self.with(|key| key.tally.clone()).unwrap_or_default()
    }

    /// Returns the number of calls with this key whose response body has not ended.
    pub fn in_flight(&self) -> usize {
        self.with(|key| key.in_flight).unwrap_or_default()
    }

    /// Returns how much the key's own limits allow for `model` now. The limits of its account are not
    /// included.
    pub fn headroom(&self, model: &str) -> Headroom {
        self.with(|key| key.meter.headroom(model, Instant::now())).unwrap_or_default()
    }

    /// Revokes the key: calls with it are refused as invalid from now on.
    pub fn revoke(&self) {
        self.with(|key| key.settings.revoked = true);
    }

    /// Makes a revoked key valid again.
    pub fn restore(&self) {
        self.with(|key| key.settings.revoked = false);
    }

    /// Replaces the secret. Calls with the old secret are refused as unknown from now on.
    pub fn replace_secret(&self, secret: impl Into<String>) {
        let secret = secret.into();
        self.with(|key| key.settings.secret = secret);
    }

    /// Replaces the key's own limits. All of its limits start full.
    pub fn set_limits(&self, limits: Limits) {
        self.with(|key| key.meter.set_limits(limits));
    }

    /// Replaces the key's own limits for one model. All of its limits start full, those for other models too.
    pub fn set_model_limits(&self, model: &str, limits: Limits) {
        self.with(|key| key.meter.set_model_limits(model, limits));
    }

    /// Forbids the key to use `model`.
    pub fn forbid_model(&self, model: impl Into<String>) {
        let model = model.into();
        self.with(|key| key.settings.forbidden.insert(model));
    }

    /// Allows the key to use `model` again.
    pub fn allow_model(&self, model: &str) {
        self.with(|key| key.settings.forbidden.remove(model));
    }

    /// Replaces the key's script, which starts now.
    pub fn script(&self, script: impl Into<Script>) {
        let script = script.into().start(Instant::now());
        self.with(|key| key.settings.script = script);
    }

    /// Replaces the key's script by one that fails the next `calls` calls with `fault`.
    pub fn fail(&self, calls: u64, fault: impl Into<SimFault>) {
        self.script(Script::new().then_times(calls, fault.into()));
    }

    /// Removes the key's script.
    pub fn heal(&self) {
        self.script(Script::new());
    }

    /// Returns a handle to the key's account.
    pub fn account(&self) -> AccountHandle {
        let name = self.with(|key| key.settings.account.clone()).unwrap_or_default();
        AccountHandle::new(self.shared.clone(), &name)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Key) -> T) -> Option<T> {
        self.shared.lock().key(&self.label).map(act)
    }
}

impl fmt::Debug for KeyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shared: _, label } = self;
        f.debug_struct("KeyHandle").field("label", label).finish_non_exhaustive()
    }
}

// === impl AccountHandle ===

impl AccountHandle {
    pub(super) fn new(shared: Arc<Shared>, name: &str) -> Self {
        Self { shared, name: name.to_owned() }
    }

    /// Replaces the limits that all keys of the account share. All of them start full.
    pub fn set_limits(&self, limits: Limits) {
        self.with(|account| account.meter.set_limits(limits));
    }

    /// Returns how much the shared limits of the account allow for `model` now.
    pub fn headroom(&self, model: &str) -> Headroom {
        self.with(|account| account.meter.headroom(model, Instant::now())).unwrap_or_default()
    }

    /// Sets the credit left, in tokens. `None` is unlimited; `Some(0)` refuses the next call.
    pub fn set_credit(&self, tokens: Option<u64>) {
        self.with(|account| account.credit = tokens);
    }

    /// Returns the credit left, in tokens. `None` is unlimited.
    pub fn credit(&self) -> Option<u64> {
        self.with(|account| account.credit).flatten()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Account) -> T) -> Option<T> {
        self.shared.lock().accounts.get_mut(&self.name).map(act)
    }
}

impl fmt::Debug for AccountHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shared: _, name } = self;
        f.debug_struct("AccountHandle").field("name", name).finish_non_exhaustive()
    }
}
