//! Which declared quotas hold where.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::key_set::KeySet;
use super::models::ModelLane;
use crate::clock::Timestamp;
use crate::key::{AccountId, ApiKey};
use crate::limits::{Ledger, ModelPattern, Quota, Zone};
use crate::provider::ModelId;

/// The declared quotas of accounts, and when a day begins.
#[derive(Debug)]
pub(super) struct Quotas {
    /// Of each account.
    each: Vec<Quota>,
    /// Of single ones, beside those.
    by_account: HashMap<AccountId, Vec<Quota>>,
    /// Of single keys, by their numbers.
    by_key: HashMap<usize, Vec<Quota>>,
    /// All models, each once, for which any quota is declared, those of keys included.
    models: Vec<ModelPattern>,
    /// Where the provider's days begin.
    midnight: Arc<Zone>,
}

impl Quotas {
    pub(super) fn new(
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

    /// Whether a quota is declared for this model in particular.
    pub(super) fn are_for(&self, model: &ModelId) -> bool {
        self.models.iter().any(|pattern| pattern.matches(model.as_str()))
    }

    /// Whether any quota is declared for single models.
    pub(super) const fn are_of_models(&self) -> bool {
        !self.models.is_empty()
    }

    /// Whether any quota counts tokens.
    pub(super) fn count_tokens(&self) -> bool {
        let of_accounts = self.each.iter().chain(self.by_account.values().flatten());
        of_accounts.chain(self.by_key.values().flatten()).any(Quota::counts_tokens)
    }

    pub(super) fn of_account(&self, id: Option<&AccountId>, model: Option<&ModelId>) -> Option<Box<Ledger>> {
        let own = id.and_then(|id| self.by_account.get(id)).into_iter().flatten();
        self.ledger(self.each.iter().chain(own), model)
    }

    pub(super) fn ledger<'a>(
        &self,
        quotas: impl IntoIterator<Item = &'a Quota>,
        model: Option<&ModelId>,
    ) -> Option<Box<Ledger>> {
        let here = quotas.into_iter().filter(|quota| quota.is_for(model));
        Ledger::declared(here, &self.midnight).map(Box::new)
    }

    /// A lane with the ledgers of what is declared for its model.
    pub(super) fn lane(&self, set: &KeySet, model: &ModelId, now: Timestamp) -> ModelLane {
        let accounts = set.accounts.iter().map(|account| {
            let ledger = self.of_account(account.id.as_ref(), Some(model));
            ledger.map_or_else(OnceLock::new, OnceLock::from)
        });
        let declared = self.by_key.values().flatten().any(|quota| quota.is_for(Some(model)));
        let keys = (0..set.keys.len()).filter(|_| declared);
        let keys = keys.map(|key| self.ledger(self.by_key.get(&key).into_iter().flatten(), Some(model)));
        ModelLane::new(model.clone(), accounts.collect(), keys.collect(), set.keys.len(), now.as_unix_ms())
    }
}
