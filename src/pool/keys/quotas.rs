//! Declared quotas, and the accounts, keys, and models that they apply to.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::key::{AccountId, ApiKey};
use crate::limits::{Ledger, ModelPattern, Quota, Zone};
use crate::pool::keys::account::Account;
use crate::pool::keys::model_counters::{ModelLedgers, Patterns};
use crate::pool::scope::growing::Growing;
use crate::provider::ModelId;

/// The declared quotas, and the time zone of the provider's days.
#[derive(Debug)]
pub(in crate::pool) struct Quotas {
    /// The quotas of accounts, which are the same for all sets of a pool.
    accounts: Arc<AccountQuotas>,
    /// The patterns of all quotas for single models, each once. Includes those of keys. A pattern keeps its
    /// number when the keys of the pool change.
    models: Vec<ModelPattern>,
    /// Whether any quota counts tokens.
    tokens: bool,
    /// The time zone in which the provider's days begin.
    midnight: Arc<Zone>,
}

#[derive(Debug)]
struct AccountQuotas {
    /// Quotas that apply to every account.
    each: Vec<Quota>,
    /// Quotas that apply to single accounts, in addition to `each`.
    by_account: HashMap<AccountId, Vec<Quota>>,
}

impl Quotas {
    /// Creates the quotas of a pool without keys.
    pub(in crate::pool) fn new(
        each: Vec<Quota>,
        by_account: HashMap<AccountId, Vec<Quota>>,
        midnight: Zone,
    ) -> Self {
        let accounts = Arc::new(AccountQuotas { each, by_account });
        let quotas = Self { models: Vec::new(), tokens: false, midnight: Arc::new(midnight), accounts };
        let AccountQuotas { each, by_account } = &*quotas.accounts;
        quotas.with(each.iter().chain(by_account.values().flatten()))
    }

    /// Returns the quotas with those of more keys.
    pub(in crate::pool) fn with_keys<'a>(&self, keys: impl Iterator<Item = &'a ApiKey>) -> Self {
        self.with(keys.flat_map(ApiKey::declared_quotas))
    }

    fn with<'a>(&self, more: impl Iterator<Item = &'a Quota>) -> Self {
        let (mut models, mut tokens) = (self.models.clone(), self.tokens);
        for quota in more {
            tokens |= quota.counts_tokens();
            models.extend(quota.models().filter(|pattern| !models.contains(pattern)).cloned());
        }
        let (accounts, midnight) = (Arc::clone(&self.accounts), Arc::clone(&self.midnight));
        Self { accounts, models, tokens, midnight }
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
    pub(in crate::pool) const fn count_tokens(&self) -> bool {
        self.tokens
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
        let AccountQuotas { each, by_account } = &*self.accounts;
        let own = id.and_then(|id| by_account.get(id)).into_iter().flatten();
        self.ledger(each.iter().chain(own).filter(|quota| holds(quota)))
    }

    fn ledger<'a>(&self, quotas: impl IntoIterator<Item = &'a Quota>) -> Option<Box<Ledger>> {
        Ledger::declared(quotas, &self.midnight).map(Box::new)
    }

    /// Returns the number of patterns.
    pub(in crate::pool) const fn patterns(&self) -> usize {
        self.models.len()
    }

    /// Returns the patterns that match a model.
    pub(in crate::pool) fn matched_by(&self, model: &str) -> Patterns {
        let all = self.models.iter().enumerate();
        all.filter(|(_, pattern)| pattern.matches(model)).map(|(number, _)| number).collect()
    }

    /// Declares the quotas of a model at new accounts and keys. Their ledgers forget all that they have
    /// counted, because the numbers may have belonged to others.
    pub(in crate::pool) fn declare<'a>(
        &self,
        ledgers: &ModelLedgers,
        model: &str,
        accounts: impl Iterator<Item = (usize, &'a Account)>,
        keys: impl Iterator<Item = (usize, &'a ApiKey)>,
    ) {
        let of_model = || self.matched_by(model);
        let patterns = ledgers.group.clone().unwrap_or_else(of_model);
        let is_one = |pattern: &ModelPattern| patterns.iter().any(|number| self.models[*number] == *pattern);
        let holds = |quota: &Quota| quota.models().is_some_and(is_one);
        for (number, account) in accounts {
            put(&ledgers.accounts, number, self.account_ledger(account.id.as_ref(), holds));
        }
        for (number, key) in keys {
            let own = key.declared_quotas().iter().filter(|quota| holds(quota));
            put(&ledgers.keys, number, self.ledger(own));
        }
    }
}

/// Puts a ledger, or none, in the place of the one with this number.
fn put(ledgers: &Growing<OnceLock<Box<Ledger>>>, number: usize, declared: Option<Box<Ledger>>) {
    match (ledgers.get(number).and_then(OnceLock::get), declared) {
        (Some(known), declared) => known.replace(declared.map_or_else(Ledger::default, |declared| *declared)),
        // Only a thread that learned a limit just now can be faster.
        (None, Some(declared)) => drop(ledgers.at(number).set(declared)),
        (None, None) => {}
    }
}
