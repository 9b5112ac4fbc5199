//! Which key is the home of which session.
//!
//! Highest random weight: for each session every key draws a number, and the keys are in the order of what
//! they drew. The draw depends on the session and the key's name and on nothing else, so whoever has the
//! same keys has the same order, and without a key the order of the others is what it was: **a key that is
//! removed moves the sessions that were at home there and no other; a key that is added takes those that it
//! wins and moves no other.**
//!
//! Ten thousand draws take too long. So each key stands at [`STANDS`] of a fixed number of [`CORNERS`],
//! again by its name alone, and a session comes to one corner: whoever stands there goes before all others.
//! An order by *(stands at the corner, draw)* still depends on nothing but the session and the one key, so the
//! rule above holds as it did. One corner has a key in 128; where all keys at it are closed, there are few open
//! keys for certain but for small pools, and those that are open draw. That makes about `n / 128` draws of a
//! large pool and at most some hundred of a small one or one with few open keys, each a nanosecond or two;
//! to find the few open ones takes a look at one word for 64 keys.
//!
//! A key that weighs more draws more: `-weight / ln(u)` for a uniform `u` makes the chance of the highest
//! exactly proportional to the weight.

use super::session::{Session, digest};
use crate::key::KeyId;

/// Where sessions and keys meet; a power of two.
const CORNERS: usize = 1 << CORNER_BITS;
const CORNER_BITS: u32 = 11;
/// At how many corners a key stands. With more of them the shares of keys are more even: a corner's keys
/// share what comes to it, and some corners have more keys than others.
const STANDS: u64 = 16;

/// Where each key stands, and what it draws with.
pub(super) struct Rendezvous {
    /// By number of key.
    contenders: Box<[Contender]>,
    /// Key numbers, by corner.
    stands: Box<[u32]>,
    /// Where in `stands` the keys of a corner begin; one more for the end.
    corners: Box<[u32]>,
    /// All weigh the same, and need no logarithm.
    level: bool,
}

struct Contender {
    /// Of its name.
    digest: u64,
    weight: f64,
}

// === impl Rendezvous ===

impl Rendezvous {
    /// The keys' names and weights, by number.
    pub(super) fn new<'a>(keys: impl Iterator<Item = (&'a KeyId, u32)>) -> Self {
        let contender = |(id, weight): (&KeyId, u32)| Contender {
            digest: digest(id.as_str().as_bytes()),
            weight: f64::from(weight),
        };
        let contenders: Box<[_]> = keys.map(contender).collect();
        let mut stands: Vec<(usize, u32)> = contenders.iter().zip(0..).flat_map(stands).collect();
        stands.sort_unstable();
        stands.dedup();
        let begin = |corner| stands.partition_point(|(other, _)| *other < corner) as u32;
        Self {
            corners: (0..=CORNERS).map(begin).collect(),
            stands: stands.iter().map(|(_, key)| *key).collect(),
            level: contenders.windows(2).all(|two| two[0].weight == two[1].weight),
            contenders,
        }
    }

    /// The first in the session's order of the keys that are `usable`, of which `all` are worth drawing for.
    pub(super) fn first(
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
        // The middle of one of 2⁵² parts of what lies between zero and one, so never either.
        let uniform = ((drawn >> (u64::BITS - 52)) as f64 + 0.5) / (1_u64 << 52) as f64;
        // The bits of positive floats are in the order of the floats.
        (-weight / uniform.ln()).to_bits()
    }
}

fn stands((contender, key): (&Contender, u32)) -> impl Iterator<Item = (usize, u32)> {
    let digest = contender.digest;
    (1..=STANDS).map(move |stand| (corner(mix(digest.wrapping_add(stand))), key))
}

const fn corner(digest: u64) -> usize {
    (digest >> (u64::BITS - CORNER_BITS)) as usize
}

/// Spreads a change of any bit over all of them: the finaliser of SplitMix64.
const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
