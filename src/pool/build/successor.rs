//! Assembling the key set that follows another one. The first set of a pool follows an empty one.

use std::collections::HashMap;
use std::sync::Arc;

use crate::key;
use crate::key::{ApiKey, KeyId};
use crate::limits::Ledger;
use crate::pool::build::accounts::Accounts;
use crate::pool::build::assemble::{entry, named, vacant};
use crate::pool::build::error::BuildError;
use crate::pool::keys::key::{Key, KeyState};
use crate::pool::keys::key_set::{KeySet, Roster};
use crate::pool::keys::quotas::Quotas;

/// A key set that is ready to follow another one, and how it differs from that.
pub(in crate::pool) struct Successor {
    pub(in crate::pool) set: KeySet,
    /// The numbers of the keys that are new, or have a new secret or account. Nothing is known of them.
    pub(in crate::pool) new_keys: Vec<usize>,
    /// The numbers of the accounts that are new.
    pub(in crate::pool) new_accounts: Vec<usize>,
    /// The numbers of the keys that stay, with other quotas.
    pub(in crate::pool) requoted: Vec<usize>,
    /// The numbers of the keys that stay, with other settings. Includes those with other quotas.
    pub(in crate::pool) changed: Vec<usize>,
    /// The numbers of the keys of the set before that are not in this one.
    pub(in crate::pool) left: Vec<usize>,
}

/// The entries of a set, and how they differ from those of the set before.
#[derive(Default)]
struct Entries {
    placed: Vec<(usize, Key)>,
    new: Vec<usize>,
    requoted: Vec<usize>,
    changed: Vec<usize>,
}

/// Assembles the set of these keys that follows `set`. Changes nothing.
///
/// A key stays if it has the secret, the base URL and the declared account of a key before. It keeps its number and its
/// state, whatever else of it has changed.
pub(in crate::pool) fn successor(set: &Arc<KeySet>, keys: Vec<ApiKey>) -> Result<Successor, BuildError> {
    let named = named(&set.common.provider, keys)?;
    let kept = kept(set, &named);
    let (mut past, oldest) = set.past.next(set);
    let account_numbers = past.accounts.numbers(set.accounts.len(), oldest);
    let mut accounts = Accounts::of(set, kept.iter().copied().flatten(), account_numbers);
    let mut numbers = past.keys.numbers(set.keys.len(), oldest);
    let quotas = set.quotas.with_keys(named.iter().map(|(spec, _)| spec));
    let mut entries = Entries::default();
    for (named, kept) in named.into_iter().zip(kept) {
        match kept {
            Some(number) => entries.keep(set, &quotas, number, named)?,
            None => {
                let home = accounts.home_of(named.0.declared_account());
                entries.add(set, &quotas, (numbers.give(), home), named)?;
            }
        }
    }
    let Entries { placed, new, requoted, changed } = entries;
    let order: Vec<_> = placed.iter().map(|(number, _)| *number).collect();
    let new_accounts = accounts.new_numbers();
    past.retire((numbers.length, &order), (accounts.length(), &accounts.used()));
    let keys = by_number(placed, numbers.length);
    let accounts = accounts.list(set, &quotas, &members(&keys));
    let roster = Roster { keys, accounts, order, quotas, past };
    let next = KeySet::new(Arc::clone(&set.common), Arc::clone(&set.current), roster);
    let left = set.live().filter(|number| !next.agrees_with(set, *number)).collect();
    Ok(Successor { set: next, new_keys: new, new_accounts, requoted, changed, left })
}

// === impl Entries ===

impl Entries {
    /// Adds a key that stays, with its new settings.
    fn keep(
        &mut self,
        set: &KeySet,
        quotas: &Quotas,
        number: usize,
        named: (ApiKey, KeyId),
    ) -> Result<(), BuildError> {
        let before = &set.keys[number];
        let (spec, id) = &named;
        let has_quotas = before.spec.declared_quotas() == spec.declared_quotas();
        let ledger = if has_quotas { before.ledger.clone() } else { own_ledger(quotas, spec) };
        if !has_quotas {
            self.requoted.push(number);
        }
        if before.id != *id || !key::are_alike(&before.spec, spec) {
            self.changed.push(number);
        }
        let key = entry(&set.common.provider, named, ledger, Arc::clone(&before.state))?;
        self.placed.push((number, key));
        Ok(())
    }

    /// Adds a key that starts clean.
    fn add(
        &mut self,
        set: &KeySet,
        quotas: &Quotas,
        (number, home): (usize, usize),
        named: (ApiKey, KeyId),
    ) -> Result<(), BuildError> {
        let ledger = own_ledger(quotas, &named.0);
        let key = entry(&set.common.provider, named, ledger, Arc::new(KeyState::new(home)))?;
        self.placed.push((number, key));
        self.new.push(number);
        Ok(())
    }
}

fn own_ledger(quotas: &Quotas, spec: &ApiKey) -> Option<Arc<Ledger>> {
    quotas.of_key(spec.declared_quotas()).map(Arc::from)
}

/// Returns the number of each key that stays.
fn kept(set: &KeySet, named: &[(ApiKey, KeyId)]) -> Vec<Option<usize>> {
    let identity = |number: usize| (key::identity(&set.keys[number].spec), number);
    let before: HashMap<_, usize> = set.live().map(identity).collect();
    let kept = |spec: &ApiKey| {
        let number = before.get(&key::identity(spec))?;
        (set.keys[*number].spec.declared_account() == spec.declared_account()).then_some(*number)
    };
    named.iter().map(|(spec, _)| kept(spec)).collect()
}

fn by_number(placed: Vec<(usize, Key)>, length: usize) -> Vec<Key> {
    let mut keys: Vec<Option<Key>> = vec![None; length];
    for (number, key) in placed {
        keys[number] = Some(key);
    }
    let vacant = vacant();
    keys.into_iter().map(|key| key.unwrap_or_else(|| vacant.clone())).collect()
}

/// Returns the present account of each key, with the keys in ascending order.
fn members(keys: &[Key]) -> Vec<(usize, usize)> {
    let live = keys.iter().enumerate().filter(|(_, key)| !key.is_removed());
    live.map(|(number, key)| (key.account.present(), number)).collect()
}
