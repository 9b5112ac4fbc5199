//! Ready bits: a bitmap of the keys that are worth inspecting.
//!
//! A lane has one bit for each key, so that the next usable key of ten thousand is found by reading a few
//! words. **The bit is a hint; the slot's deadline decides.** A set bit whose slot refuses is cleared by the
//! thread that notices. A cleared bit whose deadline has passed is set by the next thread that looks. Nothing
//! needs to happen when a cooldown ends, and no task waits for it.
//!
//! A bit that is cleared for a used-up limit is a hint in the same way, and the ledger decides.
//!
//! A usable key whose bit no thread will set again must never exist. One rule prevents it: a thread that
//! clears a bit enters the deadline in the word's `next` *after* clearing, and a thread that wakes a word
//! takes `next` away *before* it reads the bits. Either the waking thread sees the cleared bit, or the entry
//! outlives it. The same rule holds one level up, between the words and the lane. A bit that is cleared for a
//! probe, or for a full slow start, has no deadline; the lease sets it when it ends.
//!
//! [`Bar`] is not the ledger's `Availability`: it counts in milliseconds as the words do, it makes no difference
//! between keys that another request frees and keys that an operator frees, because an event sets either bit, and it
//! has to stay free of the ledger for the model checks.

use crate::pool::scope::growing::Growing;
use crate::sync::{AtomicU64, Ordering};

/// No deadline is due.
const NEVER: u64 = u64::MAX;
const WORD: usize = u64::BITS as usize;

/// A bitmap with one bit for each key.
pub(crate) struct ReadyBits {
    words: Growing<ReadyWord>,
    /// A time not later than the earliest `next` of the words.
    next: AtomicU64,
}

struct ReadyWord {
    /// One bit for each key. A set bit means that the key may be usable.
    bits: AtomicU64,
    /// A time not later than the earliest deadline of the cleared bits that have one.
    next: AtomicU64,
}

/// Some keys of one word: the index of the word, and one bit for each key.
pub(crate) type KeyBits = (usize, u64);

/// The condition that keeps a scope closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bar {
    Open,
    /// Closed until this time, in milliseconds since the Unix epoch.
    Until(u64),
    /// Closed until an event opens it, which sets the bit.
    Shut,
}

// === impl ReadyBits ===

impl ReadyBits {
    /// Creates a bitmap in which all keys are worth inspecting.
    pub(crate) fn new(keys: usize) -> Self {
        Self { words: Growing::new(keys.div_ceil(WORD)), next: AtomicU64::new(NEVER) }
    }

    /// Returns the bits of one word. Those of numbers without a key are set.
    pub(crate) fn word(&self, word: usize) -> u64 {
        self.words.get(word).map_or(u64::MAX, |word| word.bits.load(Ordering::Acquire))
    }

    /// Returns whether all these keys are worth inspecting.
    pub(crate) fn shows(&self, groups: &[KeyBits]) -> bool {
        groups.iter().all(|&(word, bits)| self.word(word) & bits == bits)
    }

    /// Brings the bits of a scope's keys in line with the scope.
    ///
    /// After clearing the bits, it reads the scope again, until the scope is in the state that the bits were
    /// cleared for. A thread that changed the scope meanwhile has updated the bits already and does not
    /// return, and the deadline may even have been woken for.
    pub(crate) fn sync(&self, look: impl Fn() -> Bar, groups: &[KeyBits]) {
        let mut bar = look();
        while bar != Bar::Open {
            self.close(groups, bar.until());
            let closed_for = std::mem::replace(&mut bar, look());
            if bar == closed_for {
                return;
            }
        }
        self.open(groups);
    }

    /// Clears the bits of these keys until `until`; `None` means until they are [opened](Self::open).
    pub(crate) fn close(&self, groups: &[KeyBits], until: Option<u64>) {
        for &(word, bits) in groups {
            let word = self.words.at(word);
            word.bits.fetch_and(!bits, Ordering::AcqRel);
            if let Some(until) = until {
                word.next.fetch_min(until, Ordering::AcqRel);
            }
        }
        if let Some(until) = until {
            self.next.fetch_min(until, Ordering::AcqRel);
        }
    }

    /// Sets the bits of these keys.
    pub(crate) fn open(&self, groups: &[KeyBits]) {
        for &(word, bits) in groups {
            if let Some(word) = self.words.get(word) {
                word.bits.fetch_or(bits, Ordering::AcqRel);
            }
        }
    }

    /// Sets the bits whose deadline has passed. `until` returns the deadline of a key; `None` if it has none.
    ///
    /// Of two concurrent callers, one does the work. The other may miss a key that becomes usable at that
    /// moment.
    pub(crate) fn refresh(&self, now: u64, until: impl Fn(usize) -> Option<u64>) {
        let due = self.next.load(Ordering::Acquire);
        let mine = || self.next.compare_exchange(due, NEVER, Ordering::AcqRel, Ordering::Acquire);
        if due > now || mine().is_err() {
            return;
        }
        let mut earliest = NEVER;
        for (index, word) in self.words.iter().enumerate() {
            if word.next.load(Ordering::Acquire) <= now {
                word.refresh(now, |bit| until(index * WORD + bit));
            }
            earliest = earliest.min(word.next.load(Ordering::Acquire));
        }
        self.next.fetch_min(earliest, Ordering::AcqRel);
    }
}

// === impl Bar ===

impl Bar {
    pub(crate) const fn until(self) -> Option<u64> {
        match self {
            Self::Until(until) => Some(until),
            Self::Open | Self::Shut => None,
        }
    }
}

// === impl ReadyWord ===

impl ReadyWord {
    fn refresh(&self, now: u64, until: impl Fn(usize) -> Option<u64>) {
        self.next.swap(NEVER, Ordering::AcqRel);
        let mut closed = !self.bits.load(Ordering::Acquire);
        let (mut due, mut earliest) = (0, NEVER);
        while closed != 0 {
            let bit = closed.trailing_zeros() as usize;
            closed &= closed - 1;
            match until(bit) {
                Some(until) if until <= now => due |= 1 << bit,
                Some(until) => earliest = earliest.min(until),
                None => {}
            }
        }
        self.bits.fetch_or(due, Ordering::AcqRel);
        self.next.fetch_min(earliest, Ordering::AcqRel);
    }
}

impl Default for ReadyWord {
    fn default() -> Self {
        Self { bits: AtomicU64::new(u64::MAX), next: AtomicU64::new(NEVER) }
    }
}

// === groups ===

/// Returns the group of a single key.
pub(crate) const fn only(key: usize) -> [KeyBits; 1] {
    [(key / WORD, 1 << (key % WORD))]
}

/// Returns the groups of these keys, which are in ascending order.
pub(crate) fn group(keys: impl IntoIterator<Item = usize>) -> Box<[KeyBits]> {
    let mut groups: Vec<KeyBits> = Vec::new();
    for [(word, bit)] in keys.into_iter().map(only) {
        match groups.last_mut() {
            Some((last, bits)) if *last == word => *bits |= bit,
            _ => groups.push((word, bit)),
        }
    }
    groups.into()
}
