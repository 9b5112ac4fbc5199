//! Selection: the policy that picks the next usable key.
//!
//! A policy only decides which few keys to inspect *first*, and where to go on. The ready bits of the lane
//! show the keys that are worth inspecting from there, so no policy costs more with more keys. Primaries are
//! inspected first, and backups only if no primary is usable.
//!
//! A policy that compares keys compares a few of them: all usable ones by their requests in flight, if there
//! are at most [`FEW`], and otherwise two, at least one of them at random. Two are enough that no key gets
//! far ahead of the others. The random choice keeps requests with the same outdated information about limits
//! from going to the same key together.

use std::sync::Arc;

use crate::clock::Moment;
use crate::pool::AcquireRequest;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key_set::KeySet;
use crate::pool::keys::model::ModelState;
use crate::pool::keys::selection::Selection;
use crate::pool::keys::session::Session;
use crate::pool::keys::tier::TierRing;

/// A search for a key.
pub(in crate::pool) struct KeySearch<'a> {
    pub(in crate::pool) set: &'a Arc<KeySet>,
    pub(in crate::pool) model: Option<&'a ModelState>,
    pub(in crate::pool) request: &'a AcquireRequest<'a>,
    pub(in crate::pool) now: Moment,
}

/// A key to compare with others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct RankedKey {
    key: usize,
    /// The fraction of its limits that is left.
    headroom: f64,
    /// The number of requests in flight, divided by its weight.
    load: f64,
}

/// Maximum number of usable keys that are all compared by their requests in flight.
const FEW: usize = 8;

/// Number of keys that a session tries in its own order before the policy decides.
const SPILLS: usize = 8;

// === impl KeySearch ===

impl<'a> KeySearch<'a> {
    /// Shows the keys that look usable to `take`, the next one first, until it takes one. Returns whether it
    /// has.
    pub(in crate::pool) fn any(&self, mut take: impl FnMut(Candidate<'a>) -> bool) -> bool {
        self.set.rings.iter().any(|ring| self.any_in(ring, &mut take))
    }

    fn any_in(&self, ring: &TierRing, mut take: impl FnMut(Candidate<'a>) -> bool) -> bool {
        let open = |word| self.open(ring, word);
        let mut take = |key| take(self.candidate(key));
        if let Some(session) = self.request.session
            && self.at_home(session, ring, &mut take)
        {
            return true;
        }
        if self.set.common.selection == Selection::InOrder && !self.set.is_ascending {
            let is_open = |key: &usize| ring.has(*key, open) && self.allows(*key);
            return self.set.live().filter(is_open).any(take);
        }
        let start = ring.start(self.set.common.selection, self.request.is_repeat, open);
        let mut take = |key| {
            let taken = take(key);
            if taken {
                ring.advance_past(key, &start);
            }
            taken
        };
        self.compare(ring, start.key, &mut take) || self.round(ring, start.key).any(take)
    }

    /// Returns the keys of a word that look usable.
    fn open(&self, ring: &TierRing, word: usize) -> u64 {
        let model = self.model.map_or(u64::MAX, |model| model.bits.word(word));
        let served = self.request.mask.map_or(u64::MAX, |mask| mask.word(word));
        ring.bits[word] & model & served & self.set.common.bits.word(word)
    }

    fn candidate(&self, key: usize) -> Candidate<'a> {
        Candidate::new(self.set, self.model, key)
    }

    fn allows(&self, key: usize) -> bool {
        self.request.allows(self.set, key)
    }

    // === sessions ===

    /// Tries the keys in the session's own order: those that look usable and are not overloaded. Returns
    /// whether one was taken.
    fn at_home(&self, session: Session, ring: &TierRing, mut take: impl FnMut(usize) -> bool) -> bool {
        let open = |word| self.open(ring, word);
        let mut refused = Vec::new();
        while refused.len() < SPILLS {
            let usable = |key| ring.has(key, open) && !refused.contains(&key) && self.may_serve(key, ring);
            match self.set.rendezvous.first(session, ring.round(0, open), usable) {
                Some(key) if take(key) => return true,
                Some(key) => refused.push(key),
                None => return false,
            }
        }
        false
    }

    fn may_serve(&self, key: usize, ring: &TierRing) -> bool {
        let entry = &self.set.keys[key];
        let (count, all) = (entry.stats.in_flight(), self.set.in_flight());
        self.allows(key)
            && !ring.is_too_much(count, all, entry.spec.declared_weight().get(), |word| self.open(ring, word))
    }

    // === comparing ===

    /// Shows the keys that the policy compares, the best one first. Shows none if the policy compares none.
    fn compare(&self, ring: &TierRing, start: usize, take: impl FnMut(usize) -> bool) -> bool {
        let few = match self.set.common.selection {
            Selection::InOrder | Selection::Random | Selection::RoundRobin => return false,
            Selection::LeastInFlight => FEW,
            Selection::MostRemaining => 1,
        };
        let mut candidates = [RankedKey::default(); FEW + 1];
        let found = self.round(ring, start).zip(&mut candidates[..=few]);
        let mut found = found.map(|(key, candidate)| candidate.key = key).count();
        if found > few {
            // There are too many keys to inspect all: compare the first one and a random one.
            let first = candidates[0].key;
            let other = self.round(ring, ring.by_chance()).find(|key| *key != first);
            candidates[1].key = other.unwrap_or(first);
            found = 2;
        }
        candidates[..found].iter_mut().for_each(|candidate| *candidate = self.ranked(candidate.key));
        best_first(&mut candidates[..found]).iter().map(|candidate| candidate.key).any(take)
    }

    /// Returns the keys that look usable and that the request may use, once around the tier from `start`.
    fn round<'r>(&'r self, ring: &'r TierRing, start: usize) -> impl Iterator<Item = usize> + 'r {
        ring.round(start, |word| self.open(ring, word)).filter(|key| self.allows(*key))
    }

    fn ranked(&self, key: usize) -> RankedKey {
        let (entry, selection) = (&self.set.keys[key], self.set.common.selection);
        let headroom = match selection {
            Selection::MostRemaining => headroom(self.candidate(key), self.now),
            _ => 1.0,
        };
        RankedKey {
            key,
            headroom,
            load: entry.stats.in_flight() as f64 / f64::from(entry.spec.declared_weight().get()),
        }
    }
}

/// Returns the fraction that is left of the tightest known limit of the key, its account, and both for the
/// model: from 0 (nothing) to 1 (everything, or no known limit).
fn headroom(candidate: Candidate<'_>, now: Moment) -> f64 {
    candidate.ledgers().map(|(_, ledger)| ledger.headroom(now)).fold(1.0, f64::min)
}

/// Sorts by the fraction left, then by load. Equals stay in their order.
fn best_first(candidates: &mut [RankedKey]) -> &[RankedKey] {
    candidates.sort_by(|a, b| b.headroom.total_cmp(&a.headroom).then(a.load.total_cmp(&b.load)));
    candidates
}

/// Shows every usable key to `take`, independently of the ready bits.
pub(in crate::pool) fn find_anywhere<T>(
    set: &KeySet,
    model: Option<&ModelState>,
    now: u64,
    take: impl FnMut(Candidate<'_>) -> Option<T>,
) -> Option<T> {
    let candidates = set.live().map(|key| Candidate::new(set, model, key));
    candidates.filter(|candidate| candidate.is_open(now)).find_map(take)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(candidates: &[(f64, f64)]) -> usize {
        let candidates = candidates.iter().enumerate();
        let mut candidates: Vec<_> =
            candidates.map(|(key, &(headroom, load))| RankedKey { key, headroom, load }).collect();
        best_first(&mut candidates)[0].key
    }

    #[test]
    fn what_is_left_counts_before_what_is_in_flight_and_equals_keep_their_order() {
        assert_eq!(first(&[(0.2, 0.0), (0.9, 7.0)]), 1);
        assert_eq!(first(&[(0.9, 7.0), (0.2, 0.0)]), 0);
        assert_eq!(first(&[(0.5, 2.0), (0.5, 1.0)]), 1);
        assert_eq!(first(&[(0.5, 1.0), (0.5, 1.0)]), 0);
        assert_eq!(first(&[(1.0, 1.0), (1.0, 1.0), (1.0, 0.5), (1.0, 0.5)]), 2);
    }
}
