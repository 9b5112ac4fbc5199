//! The accounts of the keys of a pool that is assembled.

use std::collections::HashMap;
use std::sync::Arc;

use crate::key::AccountId;
use crate::pool::keys::account::Account;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::past::Numbers;
use crate::pool::keys::quotas::Quotas;

/// The accounts of a key set that follows another one: those that stay, and new ones.
pub(super) struct Accounts {
    numbers: Numbers,
    by_name: HashMap<AccountId, usize>,
    /// The new accounts.
    new: Vec<(usize, Option<AccountId>)>,
    /// The accounts that stay, because a key that stays has its home there or lives there.
    kept: Vec<usize>,
}

// === impl Accounts ===

impl Accounts {
    /// Keeps the accounts of these keys of a set.
    pub(super) fn of(set: &KeySet, keys: impl Iterator<Item = usize>, numbers: Numbers) -> Self {
        let account = |key: usize| &set.keys[key].account;
        let mut kept: Vec<_> = keys.flat_map(|key| [account(key).home(), account(key).present()]).collect();
        kept.sort_unstable();
        kept.dedup();
        let names = kept.iter().filter_map(|&number| Some((set.accounts[number].id.clone()?, number)));
        Self { numbers, by_name: names.collect(), new: Vec::new(), kept }
    }

    /// Returns the account of a new key: the one with the declared name, or a new one.
    pub(super) fn home_of(&mut self, declared: Option<&AccountId>) -> usize {
        if let Some(known) = declared.and_then(|id| self.by_name.get(id)) {
            return *known;
        }
        let number = self.numbers.give();
        self.by_name.extend(declared.map(|id| (id.clone(), number)));
        self.new.push((number, declared.cloned()));
        number
    }

    /// Returns the numbers of the new accounts.
    pub(super) fn new_numbers(&self) -> Vec<usize> {
        self.new.iter().map(|(number, _)| *number).collect()
    }

    /// Returns the number of all accounts, those that are not in use included.
    pub(super) const fn length(&self) -> usize {
        self.numbers.length
    }

    /// Returns the numbers of all accounts in use.
    pub(super) fn used(&self) -> Vec<usize> {
        self.kept.iter().copied().chain(self.new_numbers()).collect()
    }

    /// Makes the list of all accounts. `members` are the accounts of all keys, with the keys in ascending
    /// order.
    pub(super) fn list(self, set: &KeySet, quotas: &Quotas, members: &[(usize, usize)]) -> Vec<Arc<Account>> {
        let mut by_account: HashMap<usize, Vec<usize>> = HashMap::new();
        for &(account, key) in members {
            by_account.entry(account).or_default().push(key);
        }
        let mut list: Vec<Option<_>> = set.accounts.iter().cloned().map(Some).collect();
        list.resize(self.numbers.length, None);
        for (number, id) in self.new {
            let ledger = quotas.of_account(id.as_ref());
            let members = by_account.remove(&number).unwrap_or_default();
            list[number] = Some(Arc::new(Account::new(id, members, ledger)));
        }
        // Each number was given to an account.
        list.into_iter().flatten().collect()
    }
}
