//! Simulated accounts: the limits and the credit that several keys share.

use std::collections::HashMap;

use super::limits::{Limits, Pace};
use super::meter::Meter;

/// An organisation or project: limits and credit shared by all keys that name it.
///
/// Keys name their account with [`SimKey::account`](super::SimKey::account). Accounts with limits or limited
/// credit are set up with [`SimBuilder::account`](super::SimBuilder::account).
///
/// ```
/// use tower_key_rotation_sim::{Limits, SimAccount, SimKey, Simulator};
///
/// let sim = Simulator::openai()
///     .account(SimAccount::new("org").limits(Limits::new().requests_per_minute(60)))
///     .key(SimKey::new("a", "sk-a").account("org"))
///     .key(SimKey::new("b", "sk-b").account("org"))
///     .build();
/// assert_eq!(sim.account("org").headroom("gpt-4o").requests, Some(60.0));
/// ```
#[derive(Clone, Debug)]
pub struct SimAccount {
    pub(super) name: String,
    pub(super) limits: Limits,
    pub(super) model_limits: HashMap<String, Limits>,
    pub(super) credit: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) meter: Meter,
    /// Credit left, in tokens. `None` is unlimited.
    pub(super) credit: Option<u64>,
}

// === impl SimAccount ===

impl SimAccount {
    /// Creates an account without limits and with unlimited credit.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { name, limits: Limits::new(), model_limits: HashMap::new(), credit: None }
    }

    /// Sets the limits that all keys of the account share. Default: none.
    ///
    /// They apply in addition to the limits of each key.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the shared limits for one model. They replace [`limits`](Self::limits) for that model.
    pub fn model_limits(mut self, model: impl Into<String>, limits: Limits) -> Self {
        self.model_limits.insert(model.into(), limits);
        self
    }

    /// Sets the credit, in tokens of requests and responses. Default: unlimited.
    ///
    /// The call that uses up the last of it is still served, even if it costs more than is left. With no
    /// credit left, calls are refused as [`Refusal::OutOfCredit`](super::Refusal::OutOfCredit).
    pub fn credit(mut self, tokens: u64) -> Self {
        self.credit = Some(tokens);
        self
    }
}

// === impl Account ===

impl Account {
    pub(super) fn new(settings: SimAccount, pace: Pace) -> Self {
        let SimAccount { name: _, limits, model_limits, credit } = settings;
        Self { meter: Meter::new(limits, model_limits, pace), credit }
    }

    pub(super) fn is_broke(&self) -> bool {
        self.credit == Some(0)
    }

    pub(super) fn pay(&mut self, tokens: u64) {
        self.credit = self.credit.map(|left| left.saturating_sub(tokens));
    }
}
