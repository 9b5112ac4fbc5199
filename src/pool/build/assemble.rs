//! Assembling the keys of a pool: checks them, and numbers their accounts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::key::{AccountId, ApiKey, InvalidName, KeyId, Secret};
use crate::pool::Common;
use crate::pool::build::error::BuildError;
use crate::pool::keys::account::Membership;
use crate::pool::keys::key_set::{Key, KeySet};
use crate::pool::keys::quotas::Quotas;
use crate::pool::keys::standing::LastSuccess;
use crate::pool::keys::stats::Stats;
use crate::pool::keys::usage::UsageCounters;
use crate::pool::scope::slot::Slot;
use crate::provider::Provider;

/// Creates the key set of a pool. `max_models` is the maximum number of models tracked.
pub(super) fn key_set(
    common: &Arc<Common>,
    keys: Vec<ApiKey>,
    max_models: usize,
    quotas: Quotas,
) -> Result<KeySet, BuildError> {
    let provider = &common.provider;
    let mut secrets = HashMap::new();
    let mut ids = HashMap::new();
    let mut numbers: HashMap<AccountId, usize> = HashMap::new();
    let mut accounts = Vec::new();
    let mut built = Vec::with_capacity(keys.len());
    for (index, key) in keys.into_iter().enumerate() {
        let invalid = |(what, source)| BuildError::InvalidName { number: index + 1, what, source };
        key.check_names().map_err(invalid)?;
        let secret = key.secret();
        let id = key.declared_id().cloned().unwrap_or_else(|| secret.fingerprint(provider.name()));
        if let Some(first) = secrets.insert(secret.digest(provider.name()), id.clone()) {
            return Err(BuildError::DuplicateSecret { first, second: id });
        }
        if ids.insert(id.clone(), index).is_some() {
            return Err(BuildError::DuplicateId(id));
        }
        let account = number(key.declared_account(), &mut numbers, &mut accounts);
        built.push(build_key(provider, &key, id, account, &quotas)?);
    }
    for (id, index) in &ids {
        let as_secret = Secret::new(id.as_str()).ok().map(|id| id.digest(provider.name()));
        if as_secret.is_some_and(|digest| secrets.contains_key(&digest)) {
            let (number, source) = (index + 1, InvalidName::ShowsSecret);
            return Err(BuildError::InvalidName { number, what: "id", source });
        }
    }
    Ok(KeySet::new(Arc::clone(common), built, accounts, max_models, quotas))
}

/// Returns the number of an account: the known number of its name, or the next free one.
fn number(
    declared: Option<&AccountId>,
    numbers: &mut HashMap<AccountId, usize>,
    accounts: &mut Vec<Option<AccountId>>,
) -> usize {
    let next = accounts.len();
    if let Some(id) = declared {
        match numbers.entry(id.clone()) {
            Entry::Occupied(known) => return *known.get(),
            Entry::Vacant(new) => new.insert(next),
        };
    }
    accounts.push(declared.cloned());
    next
}

fn build_key(
    provider: &Provider,
    key: &ApiKey,
    id: KeyId,
    account: usize,
    quotas: &Quotas,
) -> Result<Key, BuildError> {
    let header = key.secret().render(provider.auth());
    Ok(Key {
        header: header.map_err(|source| BuildError::InvalidSecret { key: id.clone(), source })?,
        secret: key.secret().clone(),
        account: Membership::new(account),
        tier: key.declared_tier(),
        weight: key.declared_weight(),
        disabled: 0.into(),
        slot: Slot::default(),
        stats: Stats::default(),
        served: LastSuccess::default(),
        usage_counters: UsageCounters::default(),
        ledger: quotas.of_key(key.declared_quotas()),
        id,
    })
}
