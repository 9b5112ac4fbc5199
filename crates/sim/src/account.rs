//! What several keys share.

use std::collections::HashMap;

use super::limits::{Limits, Pace};
use super::meter::Meter;

/// An organisation or project: limits and credit for all keys that name it.
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
    /// In tokens; `None` never ends.
    pub(super) credit: Option<u64>,
}

// === impl SimAccount ===

impl SimAccount {
    /// An account without limits and with endless credit.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { name, limits: Limits::new(), model_limits: HashMap::new(), credit: None }
    }

    /// The limits that all keys of the account share.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The shared limits for one model, in place of [`limits`](Self::limits).
    pub fn model_limits(mut self, model: impl Into<String>, limits: Limits) -> Self {
        self.model_limits.insert(model.into(), limits);
        self
    }

    /// The money left, in tokens. The call that crosses zero is still served.
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
