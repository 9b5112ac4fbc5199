//! Which keys are worth looking at.
//!
//! A lane has one bit a key, so that the next usable one of ten thousand is found by looking at a few
//! words. **The bit is a hint, the slot's deadline is the truth**: a set bit whose slot refuses is
//! cleared by whoever notices, and a cleared bit whose deadline has passed is set by whoever comes next.
//! Nothing needs to happen when a cooldown ends, and no task waits for it.
//!
//! A bit that closes for what is left of a limit is a hint in the same way, and the ledger is the truth.
//!
//! What must never happen is a usable key whose bit nobody will set again. The rule that prevents it:
//! whoever clears a bit enters the deadline in the word's `next` *after* clearing, and whoever wakes a
//! word takes `next` away *before* looking at its bits. Either the waker sees the cleared bit, or the
//! entry outlives the waker. The same rule holds one level up, between the words and the lane. A bit
//! that is cleared for a probe, or because a ramp is full, has no deadline; the lease sets it when it ends.

use crate::sync::{AtomicU64, Ordering};

/// Nothing is due.
const NEVER: u64 = u64::MAX;
const WORD: usize = u64::BITS as usize;

/// One bit a key.
pub(crate) struct Lane {
    words: Box<[Word]>,
    /// Not later than the earliest `next` of the words.
    next: AtomicU64,
}

struct Word {
    /// A set bit: this key may be usable.
    bits: AtomicU64,
    /// Not later than the earliest deadline of the cleared bits that have one.
    next: AtomicU64,
}

/// The keys of one word: the word's index, and a bit each.
pub(crate) type Group = (usize, u64);

/// What keeps a scope closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bar {
    Open,
    /// Time, in milliseconds since the Unix epoch.
    Until(u64),
    /// Something that will tell when it is over.
    Shut,
}

// === impl Lane ===

impl Lane {
    /// All keys are worth looking at.
    pub(crate) fn new(keys: usize) -> Self {
        let words = (0..keys.div_ceil(WORD)).map(|word| Word {
            bits: AtomicU64::new(low_bits(keys - word * WORD)),
            next: AtomicU64::new(NEVER),
        });
        Self { words: words.collect(), next: AtomicU64::new(NEVER) }
    }

    /// The bits of one word.
    pub(crate) fn word(&self, word: usize) -> u64 {
        self.words.get(word).map_or(0, |word| word.bits.load(Ordering::Acquire))
    }

    /// Whether all these keys are worth looking at.
    pub(crate) fn shows(&self, groups: &[Group]) -> bool {
        groups.iter().all(|&(word, bits)| self.word(word) & bits == bits)
    }

    /// Brings the bits of a scope's keys in line with the scope.
    ///
    /// Looks at the scope again after closing, until it is what the bits were closed for: whoever changed
    /// it meanwhile has seen to the bits already and will not come back, and the deadline may even have
    /// been woken for.
    pub(crate) fn follow(&self, look: impl Fn() -> Bar, groups: &[Group]) {
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

    /// These keys are not worth looking at before `until`; `None`: before they are [opened](Self::open).
    pub(crate) fn close(&self, groups: &[Group], until: Option<u64>) {
        for &(word, bits) in groups {
            let Some(word) = self.words.get(word) else { continue };
            word.bits.fetch_and(!bits, Ordering::AcqRel);
            if let Some(until) = until {
                word.next.fetch_min(until, Ordering::AcqRel);
            }
        }
        if let Some(until) = until {
            self.next.fetch_min(until, Ordering::AcqRel);
        }
    }

    /// These keys are worth looking at again.
    pub(crate) fn open(&self, groups: &[Group]) {
        for &(word, bits) in groups {
            if let Some(word) = self.words.get(word) {
                word.bits.fetch_or(bits, Ordering::AcqRel);
            }
        }
    }

    /// Sets the bits whose deadline has passed; `until` tells a key's deadline, `None` if it has none.
    ///
    /// Of two callers at once one does the work; the other may miss what becomes usable just now.
    pub(crate) fn wake(&self, now: u64, until: impl Fn(usize) -> Option<u64>) {
        let due = self.next.load(Ordering::Acquire);
        let mine = || self.next.compare_exchange(due, NEVER, Ordering::AcqRel, Ordering::Acquire);
        if due > now || mine().is_err() {
            return;
        }
        let mut earliest = NEVER;
        for (index, word) in self.words.iter().enumerate() {
            if word.next.load(Ordering::Acquire) <= now {
                word.wake(now, |bit| until(index * WORD + bit));
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

// === impl Word ===

impl Word {
    fn wake(&self, now: u64, until: impl Fn(usize) -> Option<u64>) {
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

// === groups ===

/// One key by itself.
pub(crate) const fn only(key: usize) -> [Group; 1] {
    [(key / WORD, 1 << (key % WORD))]
}

/// These keys, which come in rising order.
pub(crate) fn group(keys: impl IntoIterator<Item = usize>) -> Box<[Group]> {
    let mut groups: Vec<Group> = Vec::new();
    for [(word, bit)] in keys.into_iter().map(only) {
        match groups.last_mut() {
            Some((last, bits)) if *last == word => *bits |= bit,
            _ => groups.push((word, bit)),
        }
    }
    groups.into()
}

const fn low_bits(count: usize) -> u64 {
    if count >= WORD { u64::MAX } else { (1 << count) - 1 }
}
