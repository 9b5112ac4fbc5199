//! Handles to the keys and accounts of a running simulator.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use crate::account::Account;
use crate::log::Tally;
use crate::quota::{Headroom, Limits};
use crate::script::{Script, SimFault};
use crate::state::{Key, Shared};

/// A handle to one key of a running [`Simulator`](crate::Simulator).
///
/// Returned by [`Simulator::key`](crate::Simulator::key). Changes apply from the next call on. If the key has
/// been removed, all counts are zero and changes have no effect.
///
/// ```
/// use http::{Request, StatusCode};
/// use tower::ServiceExt;
/// use tower_key_rotation_sim::{Refusal, SimKey, Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sim = Simulator::anthropic().key(SimKey::new("a", "sk-ant-a")).build();
/// let key = sim.key("a");
/// let messages = || {
///     Request::post("/v1/messages")
///         .header("x-api-key", "sk-ant-a")
///         .header("anthropic-version", "2023-06-01")
///         .body(r#"{"model":"claude","max_tokens":9,"messages":[]}"#.to_owned())
/// };
///
/// key.fail(1, Refusal::ServerError);
/// assert_eq!(sim.clone().oneshot(messages()?).await?.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// key.revoke();
/// assert_eq!(sim.clone().oneshot(messages()?).await?.status(), StatusCode::UNAUTHORIZED);
/// key.restore();
/// assert_eq!(sim.clone().oneshot(messages()?).await?.status(), StatusCode::OK);
/// assert_eq!(key.tally().with(StatusCode::OK), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyHandle {
    shared: Arc<Shared>,
    label: String,
}

/// A handle to one account of a running [`Simulator`](crate::Simulator).
///
/// Returned by [`Simulator::account`](crate::Simulator::account) and [`KeyHandle::account`]. Changes apply from
/// the next call on.
///
/// ```
/// use tower_key_rotation_sim::{SimAccount, SimKey, Simulator};
///
/// let account = SimAccount::new("org").credit(1_000);
/// let sim = Simulator::gemini().account(account).key(SimKey::new("a", "AIza-a").account("org")).build();
/// assert_eq!(sim.account("org").credit(), Some(1_000));
/// sim.account("org").set_credit(Some(0));
/// assert_eq!(sim.key("a").account().credit(), Some(0));
/// ```
#[derive(Clone)]
pub struct AccountHandle {
    shared: Arc<Shared>,
    name: String,
}

// === impl KeyHandle ===

impl KeyHandle {
    pub(crate) fn new(shared: Arc<Shared>, label: &str) -> Self {
        Self { shared, label: label.to_owned() }
    }

    /// Returns the number of calls with this key.
    pub fn calls(&self) -> u64 {
        self.tally().total
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

    /// Revokes the key: calls with it are refused as [`Refusal::InvalidKey`](crate::Refusal::InvalidKey).
    pub fn revoke(&self) {
        self.with(|key| key.settings.revoked = true);
    }

    /// Makes a revoked key valid again.
    pub fn restore(&self) {
        self.with(|key| key.settings.revoked = false);
    }

    /// Replaces the key's own limits, except those for [single models](crate::SimKey::model_limits). All of its
    /// limits start full.
    pub fn set_limits(&self, limits: Limits) {
        self.with(|key| key.meter.set_limits(limits));
    }

    /// Forbids the key to use `model`: calls are refused as
    /// [`Refusal::ModelForbidden`](crate::Refusal::ModelForbidden).
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

    /// Removes the key's script. The provider's script stays.
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
    pub(crate) fn new(shared: Arc<Shared>, name: &str) -> Self {
        Self { shared, name: name.to_owned() }
    }

    /// Replaces the limits that all keys of the account share, except those for
    /// [single models](crate::SimAccount::model_limits). All limits of the account start full.
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
