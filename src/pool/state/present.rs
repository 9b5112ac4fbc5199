//! The keys and accounts that a pool has, under the names of the state.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::scope::level::Level;
use crate::pool::state::owner::{KeyDigest, Owner};

/// The keys and accounts of one key set.
pub(in crate::pool) struct Present {
    /// The keys: their numbers and digests.
    pub(in crate::pool) keys: Vec<(usize, KeyDigest)>,
    /// The digest of each key, by the key's number.
    digests: Box<[Option<KeyDigest>]>,
    /// The number of a key with a digest, and the numbers of a key of each declared account.
    numbers: HashMap<Owner, usize>,
    /// The objects that hold the state of the owners.
    states: HashMap<Owner, Weak<dyn Any + Send + Sync>>,
    /// The owner of each account, by the account's number.
    accounts: Box<[Option<Owner>]>,
}

// === impl Present ===

impl Present {
    pub(in crate::pool) fn of(set: &KeySet) -> Self {
        let provider = set.common.provider.name();
        let mut numbers = HashMap::new();
        let (mut digests, mut accounts) = (vec![None; set.keys.len()], vec![None; set.accounts.len()]);
        let mut states: HashMap<_, Weak<dyn Any + Send + Sync>> = HashMap::new();
        let digest = |key: usize| {
            let found = &set.keys[key];
            (key, KeyDigest::of(&found.spec, &found.id, provider))
        };
        let keys: Vec<_> = set.live().map(digest).collect();
        for &(key, digest) in &keys {
            let home = set.keys[key].account.home();
            let account = set.accounts[home].id.clone().map_or(Owner::Home(digest), Owner::Account);
            let state: Weak<_> = Arc::downgrade(&set.keys[key].state);
            states.insert(Owner::Key(digest), state);
            let state: Weak<_> = Arc::downgrade(&set.accounts[home]);
            states.insert(account.clone(), state);
            numbers.insert(Owner::Key(digest), key);
            numbers.entry(account.clone()).or_insert(key);
            (digests[key], accounts[home]) = (Some(digest), Some(account));
        }
        Self { digests: digests.into(), keys, numbers, states, accounts: accounts.into() }
    }

    /// Returns the keys and accounts.
    pub(in crate::pool) fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.numbers.keys()
    }

    /// Returns the number of a key, or of a key whose account is meant. `None` if the pool has no such key.
    pub(in crate::pool) fn key(&self, owner: &Owner) -> Option<usize> {
        self.numbers.get(owner).copied()
    }

    /// Returns whether an owner has the same state as in another set.
    pub(in crate::pool) fn agrees_with(&self, other: &Self, owner: &Owner) -> bool {
        match (self.states.get(owner), other.states.get(owner)) {
            (Some(one), Some(other)) => one.ptr_eq(other),
            _ => false,
        }
    }

    /// Returns the owner of the state of a candidate at a scope.
    pub(in crate::pool) fn owner(&self, candidate: Candidate<'_>, level: Level) -> Option<Owner> {
        match level {
            Level::Account | Level::AccountModel => self.accounts.get(candidate.account)?.clone(),
            Level::Key | Level::KeyModel => self.digest(candidate.key).map(Owner::Key),
        }
    }

    fn digest(&self, key: usize) -> Option<KeyDigest> {
        *self.digests.get(key)?
    }

    /// Returns all names of the account of a candidate: with those of the other keys that live there.
    pub(in crate::pool) fn aliases(
        &self,
        set: &KeySet,
        candidate: Candidate<'_>,
        level: Level,
    ) -> Vec<Owner> {
        match self.owner(candidate, level) {
            Some(Owner::Home(own)) => {
                let living = set.members(candidate.account, candidate.key);
                let living = living.into_iter().filter_map(|key| self.digest(key));
                let mut homes: Vec<_> = living.chain([own]).map(Owner::Home).collect();
                homes.sort();
                homes.dedup();
                homes
            }
            owner => owner.into_iter().collect(),
        }
    }
}

/// Returns the scopes of an owner's kind: of a key or of an account, for all models and for one.
pub(in crate::pool) const fn levels(owner: &Owner) -> (Level, Level) {
    match owner {
        Owner::Key(_) => (Level::Key, Level::KeyModel),
        Owner::Home(_) | Owner::Account(_) => (Level::Account, Level::AccountModel),
    }
}
