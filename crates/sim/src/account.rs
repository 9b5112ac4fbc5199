//! Simulated accounts: the limits and the credit that several keys share.

use std::collections::HashMap;

use crate::quota::{Limits, Meter, Periods};
use crate::store::Store;

/// An organisation or project: limits and credit shared by all keys that name it.
///
/// Keys name their account with [`SimKey::account`](crate::SimKey::account). Accounts with limits or limited
/// credit are set up with [`SimBuilder::account`](crate::SimBuilder::account).
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
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) model_limits: HashMap<String, Limits>,
    pub(crate) credit: Option<u64>,
}

/// The state of one account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) meter: Meter,
    /// Credit left, in tokens. `None` is unlimited.
    pub(crate) credit: Option<u64>,
    /// The objects that calls with its keys have made.
    pub(crate) store: Store,
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
    /// Default: none.
    pub fn model_limits(mut self, model: impl Into<String>, limits: Limits) -> Self {
        self.model_limits.insert(model.into(), limits);
        self
    }

    /// Sets the credit, in tokens of requests and responses. Default: unlimited.
    ///
    /// The call that uses up the last of it is still served, even if it costs more than is left. With no
    /// credit left, calls are refused as [`Refusal::OutOfCredit`](crate::Refusal::OutOfCredit).
    pub fn credit(mut self, tokens: u64) -> Self {
        self.credit = Some(tokens);
        self
    }
}

// === impl Account ===

impl Account {
    pub(crate) fn new(settings: SimAccount, periods: Periods) -> Self {
        let SimAccount { name: _, limits, model_limits, credit } = settings;
        Self { meter: Meter::new(limits, model_limits, periods), credit, store: Store::default() }
    }

    pub(crate) fn is_out_of_credit(&self) -> bool {
        self.credit == Some(0)
    }

    /// Takes the price of a call from the credit, which ends at 0.
    pub(crate) fn pay(&mut self, tokens: u64) {
        self.credit = self.credit.map(|left| left.saturating_sub(tokens));
    }
}
