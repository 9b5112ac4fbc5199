//! Changing a key or an account while calls run.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::account::Account;
use super::fault::Fault;
use super::limits::Limits;
use super::log::Tally;
use super::meter::Headroom;
use super::script::Script;
use super::state::{Key, Shared};

/// One key of a running simulator. Changes hold for the next call; a key that was removed since has
/// counted nothing and takes no change.
#[derive(Clone)]
pub struct KeyHandle {
    shared: Arc<Shared>,
    label: String,
}

/// One account of a running simulator.
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

    /// Calls with this key.
    pub fn calls(&self) -> u64 {
        self.tally().total
    }

    /// Calls with this key that were answered with `status`.
    pub fn calls_with(&self, status: StatusCode) -> u64 {
        self.tally().with(status)
    }

    /// Calls with this key by what became of them.
    pub fn tally(&self) -> Tally {
        self.with(|key| key.tally.clone()).unwrap_or_default()
    }

    /// Calls with this key whose body has not ended.
    pub fn in_flight(&self) -> usize {
        self.with(|key| key.in_flight).unwrap_or_default()
    }

    /// What the key's own limits would let it serve now.
    pub fn headroom(&self, model: &str) -> Headroom {
        self.with(|key| key.meter.headroom(model, Instant::now())).unwrap_or_default()
    }

    /// The key is no longer valid.
    pub fn revoke(&self) {
        self.with(|key| key.settings.revoked = true);
    }

    /// The key is valid again.
    pub fn restore(&self) {
        self.with(|key| key.settings.revoked = false);
    }

    /// Another secret under the same label; the old one is unknown from now on.
    pub fn replace_secret(&self, secret: impl Into<String>) {
        let secret = secret.into();
        self.with(|key| key.settings.secret = secret);
    }

    /// Other limits of its own, all full.
    pub fn set_limits(&self, limits: Limits) {
        self.with(|key| key.meter.set_limits(limits));
    }

    /// Other limits of its own for one model; those of all models are full again.
    pub fn set_model_limits(&self, model: &str, limits: Limits) {
        self.with(|key| key.meter.set_model_limits(model, limits));
    }

    /// The key may no longer use `model`.
    pub fn forbid_model(&self, model: impl Into<String>) {
        let model = model.into();
        self.with(|key| key.settings.forbidden.insert(model));
    }

    /// The key may use `model` again.
    pub fn allow_model(&self, model: &str) {
        self.with(|key| key.settings.forbidden.remove(model));
    }

    /// Replaces the key's script.
    pub fn script(&self, script: impl Into<Script>) {
        let script = script.into().start(Instant::now());
        self.with(|key| key.settings.script = script);
    }

    /// Replaces the key's script by `fault` for the next `calls` calls.
    pub fn fail(&self, calls: u64, fault: impl Into<Fault>) {
        self.script(Script::new().then_times(calls, fault.into()));
    }

    /// Ends the key's script.
    pub fn heal(&self) {
        self.script(Script::new());
    }

    /// The key's account.
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

    /// The limits that its keys share, all full.
    pub fn set_limits(&self, limits: Limits) {
        self.with(|account| account.meter.set_limits(limits));
    }

    /// What the limits that its keys share would let them serve now.
    pub fn headroom(&self, model: &str) -> Headroom {
        self.with(|account| account.meter.headroom(model, Instant::now())).unwrap_or_default()
    }

    /// The money left, in tokens; `None` never ends, 0 refuses the next call.
    pub fn set_credit(&self, tokens: Option<u64>) {
        self.with(|account| account.credit = tokens);
    }

    /// The money left, in tokens.
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
