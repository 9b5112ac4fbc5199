//! Which of the usable keys is next.
//!
//! A policy says only which few keys to look at *first*, and where to go on; the lane says which keys are
//! worth looking at from there, so that no policy costs more with more keys. Primaries are looked at first,
//! backups only if no primary is usable.
//!
//! Where a policy compares keys it compares a few: all that are open for what they have in flight, if they are
//! at most [`FEW`], and else two, of which at least one is there by chance. Two are enough that no key gets far
//! ahead of the others; and chance keeps requests that know the same old news of the limits from going to
//! the same key together.

use std::sync::Arc;

use super::Ask;
use super::key_set::KeySet;
use super::models::ModelLane;
use super::place::Place;
use super::rank::Rank;
use super::session::Session;
use crate::clock::Moment;

/// Which of the usable keys is next.
///
/// A request that belongs to a [`Session`] goes to the session's key in the first place, whatever the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// Each in its turn, as often as its weight says.
    #[default]
    RoundRobin,
    /// The first in the order of the list that is usable: fill one before the next is touched. Heeds no
    /// weights.
    InOrder,
    /// By chance, as often as its weight says.
    Random,
    /// The one with the fewest requests in flight for its weight; in turn among equals. Where more than eight
    /// are usable, the next in turn and one by chance are compared, and not all.
    LeastInFlight,
    /// Of two by chance, as often as their weights say, the one with the larger share of its limits left, as
    /// far as they are known; the one with fewer requests in flight among equals.
    MostRemaining,
}

/// A search for a key.
pub(super) struct Search<'a> {
    pub(super) set: &'a Arc<KeySet>,
    pub(super) model: Option<&'a ModelLane>,
    pub(super) ask: &'a Ask<'a>,
    pub(super) now: Moment,
}

/// A key to compare with others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Candidate {
    key: usize,
    /// The share of its limits that is left.
    headroom: f64,
    /// Requests in flight for its weight.
    load: f64,
}

/// So many keys that are open are all compared for what they have in flight.
const FEW: usize = 8;

/// How many keys a session tries in its own order before the policy decides.
const SPILLS: usize = 8;

// === impl Search ===

impl<'a> Search<'a> {
    /// Shows the keys that look usable to `take`, the next first, until it takes one; says whether it has.
    pub(super) fn any(&self, mut take: impl FnMut(Place<'a>) -> bool) -> bool {
        self.set.ranks.iter().any(|rank| self.any_in(rank, &mut take))
    }

    fn any_in(&self, rank: &Rank, mut take: impl FnMut(Place<'a>) -> bool) -> bool {
        let open = |word| self.open(rank, word);
        let mut take = |key| take(self.place(key));
        if let Some(session) = self.ask.session
            && self.at_home(session, rank, &mut take)
        {
            return true;
        }
        let start = rank.start(self.set.common.selection, self.ask.is_repeat, open);
        let mut take = |key| {
            let taken = take(key);
            if taken {
                rank.go_on_behind(key, &start);
            }
            taken
        };
        self.compare(rank, start.key, &mut take) || self.round(rank, start.key).any(take)
    }

    /// The keys of a word that look usable.
    fn open(&self, rank: &Rank, word: usize) -> u64 {
        let model = self.model.map_or(u64::MAX, |model| model.bits.word(word));
        rank.bits[word] & model & self.set.lane.word(word)
    }

    fn place(&self, key: usize) -> Place<'a> {
        Place::new(self.set, self.model, key)
    }

    fn allows(&self, key: usize) -> bool {
        self.ask.allows(&self.set.keys[key].id)
    }

    // === sessions ===

    /// The first key in the session's own order that is not out, has not too much to do, and is taken.
    fn at_home(&self, session: Session, rank: &Rank, mut take: impl FnMut(usize) -> bool) -> bool {
        let open = |word| self.open(rank, word);
        let mut refused = Vec::new();
        while refused.len() < SPILLS {
            let usable = |key| rank.has(key, open) && !refused.contains(&key) && self.may_serve(key, rank);
            match self.set.rendezvous.first(session, rank.round(0, open), usable) {
                Some(key) if take(key) => return true,
                Some(key) => refused.push(key),
                None => return false,
            }
        }
        false
    }

    fn may_serve(&self, key: usize, rank: &Rank) -> bool {
        let entry = &self.set.keys[key];
        let (count, all) = (entry.stats.in_flight(), self.set.in_flight());
        self.allows(key) && !rank.is_too_much(count, all, entry.weight.get(), |word| self.open(rank, word))
    }

    // === comparing ===

    /// Shows the few keys that a policy compares, the best first; none if it compares none.
    fn compare(&self, rank: &Rank, start: usize, take: impl FnMut(usize) -> bool) -> bool {
        let few = match self.set.common.selection {
            Selection::InOrder | Selection::Random | Selection::RoundRobin => return false,
            Selection::LeastInFlight => FEW,
            Selection::MostRemaining => 1,
        };
        let mut candidates = [Candidate::default(); FEW + 1];
        let found = self.round(rank, start).zip(&mut candidates[..=few]);
        let mut found = found.map(|(key, place)| place.key = key).count();
        if found > few {
            // Too many to look at all: the first of them, and another by chance.
            let first = candidates[0].key;
            let other = self.round(rank, rank.by_chance()).find(|key| *key != first);
            candidates[1].key = other.unwrap_or(first);
            found = 2;
        }
        candidates[..found].iter_mut().for_each(|candidate| *candidate = self.candidate(candidate.key));
        best_first(&mut candidates[..found]).iter().map(|candidate| candidate.key).any(take)
    }

    /// The keys that look usable and may serve, from one on round to it again.
    fn round<'r>(&'r self, rank: &'r Rank, start: usize) -> impl Iterator<Item = usize> + 'r {
        rank.round(start, |word| self.open(rank, word)).filter(|key| self.allows(*key))
    }

    fn candidate(&self, key: usize) -> Candidate {
        let (entry, selection) = (&self.set.keys[key], self.set.common.selection);
        let headroom = match selection {
            Selection::MostRemaining => self.place(key).headroom(self.now),
            _ => 1.0,
        };
        Candidate { key, headroom, load: entry.stats.in_flight() as f64 / f64::from(entry.weight.get()) }
    }
}

/// Sorts by what is left and then by what is in flight; equals stay in their order.
fn best_first(candidates: &mut [Candidate]) -> &[Candidate] {
    candidates.sort_by(|a, b| b.headroom.total_cmp(&a.headroom).then(a.load.total_cmp(&b.load)));
    candidates
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

#[cfg(test)]
mod tests {
    use super::*;

    fn first(candidates: &[(f64, f64)]) -> usize {
        let candidates = candidates.iter().enumerate();
        let mut candidates: Vec<_> =
            candidates.map(|(key, &(headroom, load))| Candidate { key, headroom, load }).collect();
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
