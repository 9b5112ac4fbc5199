//! The containers around a place of a JSON document.

/// The containers around a place, the outermost one first. `true` stands for an object.
///
/// Few documents are deeper than 64 containers, and need no allocation.
#[derive(Default)]
pub(super) struct Nesting {
    depth: usize,
    /// The outer 64 containers, from the lowest bit.
    outer: u64,
    inner: Vec<bool>,
}

/// Number of containers in one word.
const WORD: usize = u64::BITS as usize;

// === impl Nesting ===

impl Nesting {
    pub(super) const fn len(&self) -> usize {
        self.depth
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.depth == 0
    }

    pub(super) fn push(&mut self, is_object: bool) {
        if self.depth < WORD {
            self.outer = self.outer & !(1 << self.depth) | u64::from(is_object) << self.depth;
        } else {
            self.inner.push(is_object);
        }
        self.depth += 1;
    }

    pub(super) fn pop(&mut self) {
        self.inner.pop();
        self.depth = self.depth.saturating_sub(1);
    }

    /// Returns whether the innermost container is an object. `None`: there is no container.
    pub(super) fn last(&self) -> Option<bool> {
        let last = self.depth.checked_sub(1)?;
        self.inner.last().copied().or_else(|| Some(self.outer >> last.min(WORD - 1) & 1 == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_end_in_the_order_in_which_they_began() {
        let is_object = |depth: usize| depth.is_multiple_of(3);
        let mut nesting = Nesting::default();
        assert!(nesting.is_empty() && nesting.last().is_none());
        for depth in 0..200 {
            nesting.push(is_object(depth));
            assert_eq!(nesting.last(), Some(is_object(depth)));
        }
        for depth in (0..200).rev() {
            assert_eq!((nesting.len(), nesting.last()), (depth + 1, Some(is_object(depth))));
            nesting.pop();
        }
        assert!(nesting.is_empty());
    }
}
