//! The older sets of a pool, and the numbers of keys and accounts that left.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// The older sets that may still be in use, and the numbers that left with each.
///
/// A number may be given to another key when no set exists any more that had the key that left: then no
/// lease, cooldown or search refers to it by that number.
pub(in crate::pool) struct Past<T> {
    /// The number of changes before this set.
    changes: u64,
    /// The older sets with their `changes`.
    older: Vec<(u64, Weak<T>)>,
    pub(in crate::pool) keys: Retired,
    pub(in crate::pool) accounts: Retired,
}

/// Numbers that have left, with the `changes` of the first set without them.
#[derive(Clone, Default)]
pub(in crate::pool) struct Retired(BTreeMap<usize, u64>);

/// Gives numbers: first those that are free again, then new ones.
pub(in crate::pool) struct Numbers {
    /// The free numbers, the lowest one last.
    free: Vec<usize>,
    /// The number of all numbers given so far.
    pub(in crate::pool) length: usize,
}

// === impl Past ===

impl<T> Past<T> {
    /// Returns the past of the set that follows `set`, and the changes before the oldest set in use.
    pub(in crate::pool) fn next(&self, set: &Arc<T>) -> (Self, u64) {
        let mut older = self.older.clone();
        older.retain(|(_, set)| set.strong_count() > 0);
        let oldest = older.iter().map(|(changes, _)| *changes).min().unwrap_or(self.changes);
        older.push((self.changes, Arc::downgrade(set)));
        let (keys, accounts) = (self.keys.clone(), self.accounts.clone());
        (Self { changes: self.changes + 1, older, keys, accounts }, oldest)
    }

    /// Returns the number of references to older sets.
    pub(in crate::pool) fn references(&self) -> usize {
        self.older.iter().map(|(_, set)| set.strong_count()).sum()
    }

    /// Keeps the numbers below `length` that are not in use any more.
    pub(in crate::pool) fn retire(&mut self, keys: (usize, &[usize]), accounts: (usize, &[usize])) {
        self.keys.retire(keys, self.changes);
        self.accounts.retire(accounts, self.changes);
    }
}

impl<T> Default for Past<T> {
    fn default() -> Self {
        Self { changes: 0, older: Vec::new(), keys: Retired::default(), accounts: Retired::default() }
    }
}

// === impl Retired ===

impl Retired {
    fn retire(&mut self, (length, used): (usize, &[usize]), changes: u64) {
        let mut is_used = vec![false; length];
        used.iter().for_each(|number| is_used[*number] = true);
        self.0.retain(|number, _| !is_used[*number]);
        for (number, _) in is_used.into_iter().enumerate().filter(|(_, used)| !used) {
            self.0.entry(number).or_insert(changes);
        }
    }

    /// Returns the numbers that a set may give, after `length` numbers were given. `oldest` is the number of
    /// changes before the oldest set in use.
    pub(in crate::pool) fn numbers(&self, length: usize, oldest: u64) -> Numbers {
        let free = self.0.iter().rev().filter(|(_, changes)| **changes <= oldest).map(|(number, _)| *number);
        Numbers { free: free.collect(), length }
    }
}

// === impl Numbers ===

impl Numbers {
    /// Returns the next number.
    pub(in crate::pool) fn give(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.length += 1;
            self.length - 1
        })
    }
}
