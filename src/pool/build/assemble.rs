//! Assembling the keys of a pool: checks them, and numbers their accounts.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::key::{AccountId, ApiKey, InvalidName, KeyId, Secret};
use crate::pool::build::error::BuildError;
use crate::pool::keys::account::Membership;
use crate::pool::keys::common::Common;
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
    let digests: Vec<_> = keys.iter().map(|key| key.secret().digest(provider.name())).collect();
    check_names(&keys, &digests, provider)?;
    let mut first = HashMap::new();
    let mut ids = HashSet::new();
    let mut numbers: HashMap<AccountId, usize> = HashMap::new();
    let mut accounts = Vec::new();
    let mut built = Vec::with_capacity(keys.len());
    for (index, (key, digest)) in keys.into_iter().zip(digests).enumerate() {
        let id = key
            .declared_id()
            .cloned()
            .unwrap_or_else(|| KeyId::from(key.secret().fingerprint(provider.name())));
        if let Some((number, first)) = first.insert(digest, (index + 1, id.clone())) {
            return Err(BuildError::DuplicateSecret { first, second: id, numbers: [number, index + 1] });
        }
        if !ids.insert(id.clone()) {
            return Err(BuildError::DuplicateId(id));
        }
        let account = number(key.declared_account(), &mut numbers, &mut accounts);
        built.push(build_key(provider, &key, id, account, &quotas)?);
    }
    Ok(KeySet::new(Arc::clone(common), built, accounts, max_models, quotas))
}

/// Checks that no name shows the secret of its key or is the secret of another key. Runs before the checks whose
/// errors contain names.
fn check_names(keys: &[ApiKey], digests: &[[u8; 32]], provider: &Provider) -> Result<(), BuildError> {
    let digests: HashSet<_> = digests.iter().collect();
    let is_secret =
        |name: &str| Secret::new(name).is_ok_and(|name| digests.contains(&name.digest(provider.name())));
    for (index, key) in keys.iter().enumerate() {
        let invalid = |(what, source)| BuildError::InvalidName { number: index + 1, what, source };
        key.check_names().map_err(invalid)?;
        if key.declared_id().map(KeyId::as_str).is_some_and(is_secret) {
            return Err(invalid(("id", InvalidName::ShowsSecret)));
        }
    }
    Ok(())
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
    let header = provider.auth().header_for(key.secret());
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
