//! Which of the usable keys is next.
//!
//! Each policy says only where to *start* looking; the lane says which keys are worth looking at from
//! there, so that no policy costs more with more keys. Primaries are looked at first, backups only if no
//! primary is usable.

use super::key_set::{KeySet, Place};
use super::lane::group;
use super::models::ModelLane;
use crate::sync::{AtomicU64, Ordering};

const WORD: usize = u64::BITS as usize;

/// Which of the usable keys is next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// Each in its turn, as often as its weight says.
    #[default]
    RoundRobin,
    /// The first in the order of the list that is usable: fill one before the next is touched.
    InOrder,
    /// By chance, as often as its weight says.
    Random,
}

/// The keys of one tier.
pub(super) struct Rank {
    /// One bit a key; as many words as needed for the last.
    bits: Box<[u64]>,
    /// Key numbers in the order of their turns, each as often as its weight says.
    turns: Box<[u32]>,
    /// Each key has one turn, in rising order.
    level: bool,
    /// The next turn; wraps.
    cursor: AtomicU64,
}

/// Where to start looking, and the turn that said so.
struct Start {
    key: usize,
    turn: Option<u64>,
}

/// The words from the one with a key on, round to it again, each with the bits to look at.
struct Round {
    word: usize,
    mask: u64,
    /// Words that are still to come; the first comes twice.
    left: usize,
    words: usize,
    /// The bits before the key, for when its word comes again.
    rest: u64,
}

/// How often a closed key is passed over by its turn before the lane is searched instead: enough to keep
/// the shares of the others, too few to matter.
const PASSES: usize = 8;

/// Shows the keys that look usable to `take`, the next in turn first, until it takes one.
pub(super) fn find<T>(
    selection: Selection,
    set: &KeySet,
    model: Option<&ModelLane>,
    mut take: impl FnMut(Place<'_>) -> Option<T>,
) -> Option<T> {
    for rank in &set.ranks {
        let open = |word: usize| {
            let model = model.map_or(u64::MAX, |model| model.bits.word(word));
            rank.bits[word] & model & set.lane.word(word)
        };
        let start = rank.start(selection, open);
        for (word, mask) in Round::new(start.key, rank.bits.len()) {
            let mut open = open(word) & mask;
            while open != 0 {
                let key = word * WORD + open.trailing_zeros() as usize;
                open &= open - 1;
                if let Some(taken) = take(Place::new(set, model, key)) {
                    rank.go_on_behind(key, &start);
                    return Some(taken);
                }
            }
        }
    }
    None
}

/// Shows every key that is open to `take`, whatever the lanes say: when they show none.
pub(super) fn find_anywhere<T>(
    set: &KeySet,
    model: Option<&ModelLane>,
    now: u64,
    take: impl FnMut(Place<'_>) -> Option<T>,
) -> Option<T> {
    let places = (0..set.keys.len()).map(|key| Place::new(set, model, key));
    places.filter(|place| place.is_open(now)).find_map(take)
}

// === impl Round ===

impl Round {
    fn new(key: usize, words: usize) -> Self {
        let (word, shift) = if key / WORD < words { (key / WORD, key % WORD) } else { (0, 0) };
        let mask = u64::MAX << shift;
        Self { word, mask, left: if words == 0 { 0 } else { words + 1 }, words, rest: !mask }
    }
}

impl Iterator for Round {
    type Item = (usize, u64);

    fn next(&mut self) -> Option<(usize, u64)> {
        self.left = self.left.checked_sub(1)?;
        let shown = (self.word, self.mask);
        self.word = if self.word + 1 == self.words { 0 } else { self.word + 1 };
        self.mask = if self.left == 1 { self.rest } else { u64::MAX };
        Some(shown)
    }
}

// === impl Rank ===

impl Rank {
    /// The keys given, each with its weight, in rising order.
    pub(super) fn new(members: &[(usize, u32)]) -> Self {
        let groups = group(members.iter().map(|(key, _)| *key));
        let mut bits = vec![0; groups.last().map_or(0, |(word, _)| word + 1)];
        for &(word, group) in &groups {
            bits[word] = group;
        }
        let turns = turns(members);
        Self { bits: bits.into(), level: turns.len() == members.len(), turns, cursor: AtomicU64::new(0) }
    }

    fn start(&self, selection: Selection, open: impl Fn(usize) -> u64) -> Start {
        let turns = self.turns.len() as u64;
        if turns == 0 || selection == Selection::InOrder {
            return Start { key: 0, turn: None };
        }
        let mut start = self.next(selection, turns);
        for _ in 1..PASSES {
            let (word, bit) = (start.key / WORD, start.key % WORD);
            if (start.turn.is_some() && self.level) || (open(word) >> bit) & 1 == 1 {
                break;
            }
            start = self.next(selection, turns);
        }
        start
    }

    fn next(&self, selection: Selection, turns: u64) -> Start {
        let turn = match selection {
            Selection::Random => fastrand::u64(..turns),
            Selection::RoundRobin | Selection::InOrder => self.cursor.fetch_add(1, Ordering::Relaxed),
        };
        let key = self.turns[(turn % turns) as usize] as usize;
        Start { key, turn: (selection == Selection::RoundRobin).then_some(turn) }
    }

    /// Turns that were skipped because their keys are out must not all fall to the next key: where each
    /// key has one turn, the round goes on behind the key that was taken.
    fn go_on_behind(&self, key: usize, start: &Start) {
        let Some(turn) = start.turn.filter(|_| self.level && key != start.key) else { return };
        let Some(place) = self.place(key) else { return };
        let behind = place as u64 + 1;
        // Whoever moved the cursor meanwhile may keep it: a turn more or less harms nobody.
        let _ = self.cursor.compare_exchange(turn + 1, behind, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The turn of a key where each has one: its number, if there is no gap before it.
    fn place(&self, key: usize) -> Option<usize> {
        let number = key as u32;
        if self.turns.get(key) == Some(&number) {
            return Some(key);
        }
        self.turns.binary_search(&number).ok()
    }
}

/// The order of turns: each key as often as its weight says, its turns spread evenly.
fn turns(members: &[(usize, u32)]) -> Box<[u32]> {
    let weights = || members.iter().map(|(_, weight)| *weight);
    let divisor = weights().fold(0, gcd).max(1);
    let heaviest = (weights().max().unwrap_or(1) / divisor).max(1);
    let scale = f64::from(MAX_TURNS_OF_A_KEY.min(heaviest)) / f64::from(heaviest);
    let mut turns = Vec::new();
    for &(key, weight) in members {
        let count = (f64::from(weight / divisor) * scale).round().max(1.0) as u32;
        turns.extend((0..count).map(|turn| ((f64::from(turn) + 0.5) / f64::from(count), key as u32)));
    }
    turns.sort_by(|a, b| a.0.total_cmp(&b.0));
    turns.into_iter().map(|(_, key)| key).collect()
}

/// Bounds the memory of the list of turns; weights beyond it are brought down in proportion.
const MAX_TURNS_OF_A_KEY: u32 = 100;

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_shown_once() {
        for (key, words) in [(0, 1), (5, 1), (63, 1), (64, 1), (70, 3), (0, 3), (191, 3), (500, 3)] {
            let mut seen = vec![0_u64; words];
            for (word, mask) in Round::new(key, words) {
                assert_eq!(seen[word] & mask, 0, "{key} of {words}");
                seen[word] |= mask;
            }
            assert!(seen.iter().all(|word| *word == u64::MAX), "{key} of {words}");
        }
        assert_eq!(Round::new(3, 0).count(), 0);
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
