//! A list that grows while others read it.

use std::sync::OnceLock;

/// A list with one entry for each number. An entry is created when it is first used, and never moves.
///
/// The first entries are as cheap to reach as those of a slice. The entries behind them are in lists of their
/// own, each twice as long as the one before, so that a pool can get more keys without a change of what its
/// leases point to.
pub(crate) struct Growing<T> {
    first: Box<[T]>,
    /// The entries behind the first ones.
    rest: OnceLock<Box<Self>>,
}

/// All lengths are multiples of this number, so that small pools have some room.
const LEAST: usize = 8;

// === impl Growing ===

impl<T: Default> Growing<T> {
    /// Creates a list whose first `length` entries exist, and a few more.
    pub(crate) fn new(length: usize) -> Self {
        let first = (0..length.next_multiple_of(LEAST)).map(|_| T::default());
        Self { first: first.collect(), rest: OnceLock::new() }
    }

    /// Returns the entry of a number, and creates it if it does not exist.
    pub(crate) fn at(&self, number: usize) -> &T {
        match self.first.get(number) {
            Some(entry) => entry,
            None => self.behind(number - self.first.len()),
        }
    }

    /// Returns the entry of a number, if it exists.
    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        match self.first.get(number) {
            Some(entry) => Some(entry),
            None => self.rest.get()?.get(number - self.first.len()),
        }
    }

    /// Returns the entries that exist, in ascending order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let lists = std::iter::successors(Some(self), |list| list.rest.get().map(|rest| &**rest));
        lists.flat_map(|list| &list.first)
    }

    #[cold]
    fn behind(&self, number: usize) -> &T {
        let more = || Box::new(Self::new((2 * self.first.len()).max(LEAST)));
        self.rest.get_or_init(more).at(number)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn entries_are_created_on_demand_and_stay() {
        let list = Growing::<AtomicUsize>::new(2);
        assert!(list.get(8).is_none() && list.iter().count() == 8);
        for number in [0, 1, 2, 9, 10, 11, 500] {
            list.at(number).store(number + 1, Ordering::Relaxed);
        }
        for number in [0, 1, 2, 9, 10, 11, 500] {
            assert_eq!(list.get(number).map(|entry| entry.load(Ordering::Relaxed)), Some(number + 1));
        }
        let numbers: Vec<_> = list.iter().map(|entry| entry.load(Ordering::Relaxed)).collect();
        assert_eq!((numbers[2], numbers[11], numbers[500], numbers[12]), (3, 12, 501, 0));
        assert_eq!(Growing::<u8>::new(0).at(70), &0);
    }
}
