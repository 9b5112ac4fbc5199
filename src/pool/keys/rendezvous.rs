//! Rendezvous hashing: assigns each session its home key.
//!
//! The method is highest random weight. For each session every key draws a number, and the session's order of
//! keys is the order of these draws. A draw depends only on the session and the key's name. So every process
//! with the same keys has the same order, and without one key the order of the others stays the same:
//! **removing a key moves only the sessions that were at home there; adding a key moves only the sessions
//! that it wins.**
//!
//! Ten thousand draws take too long. So each key stands at [`STANDS`] of a fixed number of [`CORNERS`], again
//! by its name alone. A session comes to one corner, and the keys that stand there go before all others. An
//! order by *(stands at the corner, draw)* still depends only on the session and the single key, so the rule
//! above holds as before. One corner has one key in 128. If all keys at the corner are closed, only few keys
//! are open, except in small pools, and the open ones draw. That makes about `n / 128` draws in a large pool,
//! and at most some hundred in a small one or in one with few open keys. Each draw takes a nanosecond or two,
//! and finding the open keys reads one word for 64 keys.
//!
//! A heavier key draws more: `-weight / ln(u)` for a uniform `u` makes the chance of the highest draw exactly
//! proportional to the weight.

use crate::key::KeyId;
use crate::pool::keys::session::{Session, digest};

/// Number of corners, at which sessions and keys meet; a power of two.
const CORNERS: usize = 1 << CORNER_BITS;
const CORNER_BITS: u32 = 11;
/// Number of corners at which a key stands. More of them make the shares of keys more even, because the keys
/// of a corner share its sessions, and some corners have more keys than others.
const STANDS: u64 = 16;

/// The corners of each key, and the parameters of its draws.
pub(in crate::pool) struct Rendezvous {
    /// The keys, by number. Numbers without a key stand nowhere.
    contenders: Box<[Contender]>,
    /// Key numbers, sorted by corner.
    stands: Box<[u32]>,
    /// The start of each corner's keys in `stands`, followed by the end of the last.
    corners: Box<[u32]>,
    /// Whether all keys weigh the same, so that a draw needs no logarithm.
    level: bool,
}

#[derive(Clone, Default)]
struct Contender {
    /// The digest of the key's name.
    digest: u64,
    weight: f64,
}

// === impl Rendezvous ===

impl Rendezvous {
    /// Creates the assignment for these keys: their numbers, which are below `length`, names and weights.
    pub(in crate::pool) fn new<'a>(
        length: usize,
        keys: impl Iterator<Item = (usize, &'a KeyId, u32)>,
    ) -> Self {
        let mut contenders = vec![Contender::default(); length];
        let mut stands: Vec<(usize, u32)> = Vec::new();
        let mut weights = Vec::new();
        for (key, id, weight) in keys {
            let contender = Contender { digest: digest(id.as_str().as_bytes()), weight: f64::from(weight) };
            stands.extend(stands_of(&contender, key as u32));
            weights.push(weight);
            contenders[key] = contender;
        }
        stands.sort_unstable();
        stands.dedup();
        let begin = |corner| stands.partition_point(|(other, _)| *other < corner) as u32;
        Self {
            corners: (0..=CORNERS).map(begin).collect(),
            stands: stands.iter().map(|(_, key)| *key).collect(),
            level: weights.windows(2).all(|two| two[0] == two[1]),
            contenders: contenders.into(),
        }
    }

    /// Returns the first key in the session's order that is `usable`. `all` are the keys that draw if no key
    /// at the corner is usable.
    pub(in crate::pool) fn first(
        &self,
        session: Session,
        all: impl Iterator<Item = usize>,
        usable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let near = self.at(corner(session.digest())).iter().map(|key| *key as usize);
        self.highest(session, near, &usable).or_else(|| self.highest(session, all, &usable))
    }

    fn at(&self, corner: usize) -> &[u32] {
        &self.stands[self.corners[corner] as usize..self.corners[corner + 1] as usize]
    }

    fn highest(
        &self,
        session: Session,
        keys: impl Iterator<Item = usize>,
        usable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut highest = None;
        for key in keys {
            let draw = self.draw(session, key);
            if highest.is_none_or(|(_, other)| draw > other) && usable(key) {
                highest = Some((key, draw));
            }
        }
        highest.map(|(key, _)| key)
    }

    fn draw(&self, session: Session, key: usize) -> u64 {
        let Contender { digest, weight } = self.contenders[key];
        let drawn = mix(session.digest() ^ digest);
        if self.level {
            return drawn;
        }
        // The middle of one of 2⁵² parts of the interval from zero to one, so never zero or one.
        let uniform = ((drawn >> (u64::BITS - 52)) as f64 + 0.5) / (1_u64 << 52) as f64;
        // The bits of positive floats sort like the floats.
        (-weight / uniform.ln()).to_bits()
    }
}

fn stands_of(contender: &Contender, key: u32) -> impl Iterator<Item = (usize, u32)> + use<> {
    let digest = contender.digest;
    (1..=STANDS).map(move |stand| (corner(mix(digest.wrapping_add(stand))), key))
}

const fn corner(digest: u64) -> usize {
    (digest >> (u64::BITS - CORNER_BITS)) as usize
}

/// Spreads a change of any bit over all bits: the finaliser of SplitMix64.
const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
