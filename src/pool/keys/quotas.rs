//! Declared quotas, and the accounts, keys, and models that they apply to.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::key::{AccountId, ApiKey};
use crate::limits::{Ledger, ModelPattern, Quota, Zone};
use crate::pool::keys::account::Account;
use crate::pool::keys::model_counters::{ModelLedgers, Patterns};
use crate::provider::ModelId;

/// The declared quotas, and the time zone of the provider's days.
#[derive(Debug)]
pub(in crate::pool) struct Quotas {
    /// Quotas that apply to every account.
    each: Vec<Quota>,
    /// Quotas that apply to single accounts, in addition to `each`.
    by_account: HashMap<AccountId, Vec<Quota>>,
    /// Quotas that apply to single keys, by key number.
    by_key: HashMap<usize, Vec<Quota>>,
    /// The patterns of all quotas for single models, each once. Includes those of keys.
    models: Vec<ModelPattern>,
    /// The time zone in which the provider's days begin.
    midnight: Arc<Zone>,
}

impl Quotas {
    pub(in crate::pool) fn new(
        each: Vec<Quota>,
        by_account: HashMap<AccountId, Vec<Quota>>,
        keys: &[ApiKey],
        midnight: Zone,
    ) -> Self {
        let by_key = keys.iter().map(|key| key.declared_quotas().to_vec()).enumerate();
        let by_key: HashMap<_, _> = by_key.filter(|(_, quotas)| !quotas.is_empty()).collect();
        let all = each.iter().chain(by_account.values().flatten()).chain(by_key.values().flatten());
        let mut models: Vec<ModelPattern> = Vec::new();
        for pattern in all.filter_map(Quota::models) {
            if !models.contains(pattern) {
                models.push(pattern.clone());
            }
        }
        Self { each, by_account, by_key, models, midnight: Arc::new(midnight) }
    }

    /// Returns whether a quota is declared for this model in particular.
    pub(in crate::pool) fn are_for(&self, model: &ModelId) -> bool {
        self.models.iter().any(|pattern| pattern.matches(model.as_str()))
    }

    /// Returns whether any quota is declared for single models.
    pub(in crate::pool) const fn are_of_models(&self) -> bool {
        !self.models.is_empty()
    }

    /// Returns the models for which quotas are declared by their full names.
    #[cfg(feature = "metrics")]
    pub(in crate::pool) fn named_models(&self) -> impl Iterator<Item = ModelId> {
        self.models.iter().filter_map(ModelPattern::as_name).map(ModelId::from)
    }

    /// Returns whether any quota counts tokens.
    pub(in crate::pool) fn count_tokens(&self) -> bool {
        let of_accounts = self.each.iter().chain(self.by_account.values().flatten());
        of_accounts.chain(self.by_key.values().flatten()).any(Quota::counts_tokens)
    }

    /// Creates the ledger of an account's quotas that apply to every model.
    pub(in crate::pool) fn of_account(&self, id: Option<&AccountId>) -> Option<Box<Ledger>> {
        self.account_ledger(id, |quota| quota.models().is_none())
    }

    /// Creates the ledger of a key's own quotas that apply to every model.
    pub(in crate::pool) fn of_key(&self, quotas: &[Quota]) -> Option<Box<Ledger>> {
        self.ledger(quotas.iter().filter(|quota| quota.models().is_none()))
    }

    fn account_ledger(&self, id: Option<&AccountId>, holds: impl Fn(&Quota) -> bool) -> Option<Box<Ledger>> {
        let own = id.and_then(|id| self.by_account.get(id)).into_iter().flatten();
        self.ledger(self.each.iter().chain(own).filter(|quota| holds(quota)))
    }

    fn ledger<'a>(&self, quotas: impl IntoIterator<Item = &'a Quota>) -> Option<Box<Ledger>> {
        Ledger::declared(quotas, &self.midnight).map(Box::new)
    }

    /// Returns the number of patterns.
    pub(in crate::pool) const fn patterns(&self) -> usize {
        self.models.len()
    }

    /// Returns the patterns that match a model.
    pub(in crate::pool) fn matched_by(&self, model: &ModelId) -> Patterns {
        let all = self.models.iter().enumerate();
        all.filter(|(_, pattern)| pattern.matches(model.as_str())).map(|(number, _)| number).collect()
    }

    /// Creates the ledgers of the quotas with these patterns.
    pub(in crate::pool) fn ledgers(
        &self,
        accounts: &[Account],
        keys: usize,
        patterns: &[usize],
    ) -> ModelLedgers {
        let is_one = |pattern: &ModelPattern| patterns.iter().any(|number| self.models[*number] == *pattern);
        let holds = |quota: &Quota| quota.models().is_some_and(is_one);
        let accounts = accounts.iter().map(|account| {
            let ledger = self.account_ledger(account.id.as_ref(), holds);
            ledger.map_or_else(OnceLock::new, OnceLock::from)
        });
        let declared = self.by_key.values().flatten().any(holds);
        let keys = (0..keys).filter(|_| declared);
        let keys = keys.map(|key| {
            let own = self.by_key.get(&key).into_iter().flatten();
            self.ledger(own.filter(|quota| holds(quota)))
        });
        ModelLedgers { accounts: accounts.collect(), keys: keys.collect() }
    }
}
