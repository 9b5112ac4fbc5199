//! The keys of one tier: round robin order and load.

use crate::pool::keys::selection::Selection;
use crate::pool::scope::ready_bits::group;
use crate::sync::{AtomicU64, Ordering};

const WORD: usize = u64::BITS as usize;

/// The keys of one tier.
pub(in crate::pool) struct TierRing {
    /// One bit for each key, in as many words as the last key needs.
    pub(in crate::pool) bits: Box<[u64]>,
    /// Key numbers in the order of their turns, each as often as its weight says.
    turns: Box<[u32]>,
    /// Whether each key has exactly one turn, in ascending order.
    level: bool,
    /// The next turn of first attempts, and of repeated attempts; both wrap. Repeated attempts have turns of
    /// their own. Otherwise a failing key would cause another key's turn to be skipped, and would get more
    /// than its share of first attempts.
    cursors: [AtomicU64; 2],
    keys: usize,
    /// Average weight of a key.
    weight: f64,
}

/// The key at which a search starts, and the turn that selected it.
pub(in crate::pool) struct RingStart {
    pub(in crate::pool) key: usize,
    turn: Option<u64>,
    is_repeat: bool,
}

/// An iterator over the words once around, from the word with a given key, each with a mask of the bits to
/// inspect.
struct RingWords {
    word: usize,
    mask: u64,
    /// Number of words to come. The first word comes twice.
    left: usize,
    words: usize,
    /// The bits before the key, for the second visit of its word.
    rest: u64,
}

/// Maximum number of turns that are skipped because their key is closed, before the bitmap is searched
/// instead. Enough to keep the shares of the other keys, and too few to cost much.
const PASSES: usize = 8;

/// Factor by which the requests in flight of a key may exceed its share, plus one request, before sessions go
/// elsewhere. The provider's cache is worth a little unevenness.
const BOUND: f64 = 1.25;

// === impl TierRing ===

impl TierRing {
    /// Creates the ring of these keys, each with its weight, in ascending order of their numbers.
    pub(in crate::pool) fn new(members: &[(usize, u32)]) -> Self {
        let groups = group(members.iter().map(|(key, _)| *key));
        let mut bits = vec![0; groups.last().map_or(0, |(word, _)| word + 1)];
        for &(word, group) in &groups {
            bits[word] = group;
        }
        let turns = turns(members);
        let weights: f64 = members.iter().map(|(_, weight)| f64::from(*weight)).sum();
        Self {
            bits: bits.into(),
            level: turns.len() == members.len(),
            turns,
            cursors: [AtomicU64::new(0), AtomicU64::new(0)],
            keys: members.len(),
            weight: weights / members.len() as f64,
        }
    }

    /// Returns the keys whose bit is set in the words of `open`, once around from `key`.
    pub(in crate::pool) fn round<'a>(
        &'a self,
        key: usize,
        open: impl Fn(usize) -> u64 + 'a,
    ) -> impl Iterator<Item = usize> + 'a {
        let mut words = RingWords::new(key, self.bits.len());
        let (mut word, mut bits) = (0, 0);
        std::iter::from_fn(move || {
            while bits == 0 {
                let (next, mask) = words.next()?;
                (word, bits) = (next, open(next) & mask);
            }
            let bit = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            Some(word * WORD + bit)
        })
    }

    /// Returns whether the bit of a key is set in the words of `open`.
    pub(in crate::pool) fn has(&self, key: usize, open: impl Fn(usize) -> u64) -> bool {
        let word = key / WORD;
        word < self.bits.len() && (open(word) >> (key % WORD)) & 1 == 1
    }

    pub(in crate::pool) fn start(
        &self,
        selection: Selection,
        is_repeat: bool,
        open: impl Fn(usize) -> u64,
    ) -> RingStart {
        let turns = self.turns.len() as u64;
        if turns == 0 || selection == Selection::InOrder {
            return RingStart { key: 0, turn: None, is_repeat };
        }
        let mut start = self.next(selection, is_repeat, turns);
        for _ in 1..PASSES {
            if (start.turn.is_some() && self.level) || self.has(start.key, &open) {
                break;
            }
            start = self.next(selection, is_repeat, turns);
        }
        start
    }

    fn next(&self, selection: Selection, is_repeat: bool, turns: u64) -> RingStart {
        if matches!(selection, Selection::MostRemaining | Selection::Random) {
            return RingStart { key: self.by_chance(), turn: None, is_repeat };
        }
        let turn = self.cursors[usize::from(is_repeat)].fetch_add(1, Ordering::Relaxed);
        RingStart { key: self.turns[(turn % turns) as usize] as usize, turn: Some(turn), is_repeat }
    }

    /// Returns a random key, with a probability in proportion to its weight. There must be at least one key.
    pub(in crate::pool) fn by_chance(&self) -> usize {
        self.turns[fastrand::usize(..self.turns.len())] as usize
    }

    /// Continues the round robin after the key that was taken. Otherwise the turns that were skipped because
    /// their keys are closed would all fall to the next key. Applies only where each key has one turn.
    pub(in crate::pool) fn advance_past(&self, key: usize, start: &RingStart) {
        let Some(turn) = start.turn.filter(|_| self.level && key != start.key) else { return };
        let Some(position) = self.position(key) else { return };
        let behind = position as u64 + 1;
        // Another thread may have moved the cursor meanwhile. One turn more or less does no harm.
        let cursor = &self.cursors[usize::from(start.is_repeat)];
        let _ = cursor.compare_exchange(turn + 1, behind, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Returns the turn of a key where each key has one turn. It equals the key's number if there is no gap
    /// before it.
    fn position(&self, key: usize) -> Option<usize> {
        let number = key as u32;
        if self.turns.get(key) == Some(&number) {
            return Some(key);
        }
        self.turns.binary_search(&number).ok()
    }

    fn count(&self, open: impl Fn(usize) -> u64) -> usize {
        (0..self.bits.len()).map(|word| open(word).count_ones() as usize).sum()
    }

    /// Returns whether `count` requests in flight, of `all` in the pool, are too many for a key of this
    /// weight, given the open keys that share them.
    pub(in crate::pool) fn is_too_much(
        &self,
        count: u64,
        all: usize,
        weight: u32,
        open: impl Fn(usize) -> u64,
    ) -> bool {
        let bound = |keys: usize| {
            // The average load of a key, scaled by this key's weight relative to the average weight.
            let average = all as f64 / keys as f64;
            (BOUND * average * f64::from(weight) / self.weight).ceil() + 1.0
        };
        // Counting the open keys reads every word, so this happens only if it can matter.
        count as f64 > bound(self.keys) && count as f64 > bound(self.count(open))
    }
}

/// Returns the order of turns: each key as often as its weight says, with its turns spread evenly.
fn turns(members: &[(usize, u32)]) -> Box<[u32]> {
    let weights = || members.iter().map(|(_, weight)| *weight);
    let divisor = weights().fold(0, gcd).max(1);
    let heaviest = (weights().max().unwrap_or(1) / divisor).max(1);
    let scale = f64::from(MAX_TURNS_OF_A_KEY.min(heaviest)) / f64::from(heaviest);
    let mut turns = Vec::new();
    for &(key, weight) in members {
        let count = (f64::from(weight / divisor) * scale).round().max(1.0) as u32;
        // Each turn has a position between zero and one, in the middle of its part of the round.
        turns.extend((0..count).map(|turn| ((f64::from(turn) + 0.5) / f64::from(count), key as u32)));
    }
    turns.sort_by(|a, b| a.0.total_cmp(&b.0));
    turns.into_iter().map(|(_, key)| key).collect()
}

/// Maximum number of turns of a key, which bounds the memory of the list. Larger weights are scaled down in
/// proportion.
const MAX_TURNS_OF_A_KEY: u32 = 100;

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

// === impl RingWords ===

impl RingWords {
    fn new(key: usize, words: usize) -> Self {
        let (word, shift) = if key / WORD < words { (key / WORD, key % WORD) } else { (0, 0) };
        let mask = u64::MAX << shift;
        Self { word, mask, left: if words == 0 { 0 } else { words + 1 }, words, rest: !mask }
    }
}

impl Iterator for RingWords {
    type Item = (usize, u64);

    fn next(&mut self) -> Option<(usize, u64)> {
        self.left = self.left.checked_sub(1)?;
        let shown = (self.word, self.mask);
        self.word = if self.word + 1 == self.words { 0 } else { self.word + 1 };
        self.mask = if self.left == 1 { self.rest } else { u64::MAX };
        Some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_shown_once() {
        for (key, words) in [(0, 1), (5, 1), (63, 1), (64, 1), (70, 3), (0, 3), (191, 3), (500, 3)] {
            let mut seen = vec![0_u64; words];
            for (word, mask) in RingWords::new(key, words) {
                assert_eq!(seen[word] & mask, 0, "{key} of {words}");
                seen[word] |= mask;
            }
            assert!(seen.iter().all(|word| *word == u64::MAX), "{key} of {words}");
        }
        assert_eq!(RingWords::new(3, 0).count(), 0);
    }

    #[test]
    fn turns_are_as_many_as_weights_say_and_spread() {
        assert_eq!(*turns(&[(0, 1), (1, 1), (5, 1)]), [0, 1, 5]);
        assert_eq!(*turns(&[(0, 7), (3, 7)]), [0, 3]);
        assert_eq!(*turns(&[(0, 3), (1, 1)]), [0, 0, 1, 0]);
        assert_eq!(turns(&[(0, u32::MAX), (1, 1)]).len(), 101);
        assert!(turns(&[]).is_empty());
    }
}
