//! The shared limit detector: detects keys that share an undeclared rate limit.
//!
//! Some providers never name the account whose limit was hit (Gemini, and every provider that names no
//! account). Ten keys of one project then look like ten accounts, and one limit costs ten refusals. But such
//! keys are refused one after the other, within a short time, for the same reason, until the same time, and
//! none is served in between. When that has happened to [`CHORUS`] keys, the other keys without better
//! information are held until the earliest of these times. Then they are tried one at a time with a *canary*.
//! The first key that is served contradicts the assumption, and frees them all.
//!
//! Holding a key that was fine is worse than one refusal too many, so any information counts as better: a
//! declared account, an account that its responses named, a success after the first refusal, or the backup
//! tier. No key is held for longer than a minute without a canary. For a used-up quota, whose times are long
//! and alike by nature (midnight), the canaries begin after a second. The assumption is never written into
//! the keys: it ends with the hold.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::pool::scope::growing::Growing;
use crate::pool::scope::slot::Cause;

/// Number of keys, refused one after the other, that are assumed to share a limit.
const CHORUS: usize = 3;
/// Maximum time between two such refusals.
const APART_MS: u64 = 1_000;
/// Maximum difference between two times that count as the same. A tenth of the longer wait is also tolerated.
const TOLERANCE_MS: u64 = 250;
/// Maximum time without a canary.
const HOLD_MS: u64 = 60_000;
/// Time until the first canary for a quota. Each further canary doubles it.
const FIRST_TRIAL_MS: u64 = 1_000;
/// Maximum delay of a canary. If no request has come for it by then, no hold is needed any more.
const STALE_MS: u64 = 10_000;

const WORD: usize = u64::BITS as usize;
/// The gate value of a detector that holds no key.
const OPEN: u64 = 0;
/// The gate value of a detector with a canary in flight.
const TRIAL: u64 = u64::MAX;

/// The shared limit detector, for one model or for all models.
pub(in crate::pool) struct SharedLimitDetector {
    /// The time of the first of the present refusals, in milliseconds since the Unix epoch; zero means that
    /// there are none.
    since: AtomicU64,
    /// [`OPEN`], [`TRIAL`], or the time at which the next canary may begin. It becomes `TRIAL` by a
    /// compare-and-swap; all other changes happen under the lock.
    gate: AtomicU64,
    /// One bit for each key that was served after `since`, by a request from before, or that was added since.
    served: Growing<AtomicU64>,
    refusals: Mutex<Refusals>,
}

#[derive(Default)]
struct Refusals {
    latest: Option<Refusal>,
    /// The time of the latest refusal.
    at: u64,
    /// The home accounts of the keys that were refused, at most [`CHORUS`].
    homes: Vec<usize>,
    /// Number of holds so far, which paces the canaries.
    canaries: u32,
}

/// A refusal of a key.
#[derive(Clone, Copy, Debug)]
pub(in crate::pool) struct Refusal {
    /// The account that the key was given when the pool was built. It identifies the key.
    pub(in crate::pool) home: usize,
    /// The present account of the key, if its responses have shown one.
    pub(in crate::pool) shown: Option<usize>,
    pub(in crate::pool) cause: Cause,
    /// The end of the key's cooldown, in milliseconds since the Unix epoch.
    pub(in crate::pool) until: u64,
}

/// Whether a key of an unknown account may be used. Unlike an availability, it is the right to use the key, which one
/// of several requests takes as the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum CanaryGate {
    Open,
    /// The key may be used as the canary, which the caller has taken.
    Canary,
    /// The key is held until this time. `None` means that a canary is in flight.
    Held(Option<u64>),
}

// === impl SharedLimitDetector ===

impl SharedLimitDetector {
    pub(in crate::pool) fn new(keys: usize) -> Self {
        Self {
            since: AtomicU64::new(0),
            gate: AtomicU64::new(OPEN),
            served: Growing::new(keys.div_ceil(WORD)),
            refusals: Mutex::default(),
        }
    }

    /// Returns whether keys are held. As long as none is, this costs one load.
    pub(in crate::pool) fn is_holding(&self) -> bool {
        self.gate.load(Ordering::Acquire) != OPEN
    }

    /// Returns the gate between a request and a key of an unknown account.
    pub(in crate::pool) fn gate(&self, key: usize, now: u64) -> CanaryGate {
        match self.gate.load(Ordering::Acquire) {
            OPEN => CanaryGate::Open,
            _ if self.was_served(key) => CanaryGate::Open,
            TRIAL => CanaryGate::Held(None),
            next if is_stale(next, now) => CanaryGate::Open,
            next => CanaryGate::Held(Some(next)),
        }
    }

    /// Returns the gate, and takes the canary if one is due.
    pub(in crate::pool) fn try_canary(&self, key: usize, now: u64) -> CanaryGate {
        match self.gate(key, now) {
            CanaryGate::Held(Some(next)) if next <= now => {
                match self.gate.compare_exchange(next, TRIAL, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => CanaryGate::Canary,
                    Err(_) => CanaryGate::Held(None),
                }
            }
            gate => gate,
        }
    }

    /// Gives the canary back without a result, so that the next one may begin.
    pub(in crate::pool) fn hand_back(&self, now: u64) {
        let _refusals = self.lock();
        // Fails if a key was served meanwhile, which has freed all keys.
        let _ = self.gate.compare_exchange(TRIAL, now, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Records that a key was served by a request that began at `began`. Returns whether that may free any
    /// key.
    pub(in crate::pool) fn succeeded(&self, key: usize, began: u64, canary: bool) -> bool {
        let since = self.since.load(Ordering::Acquire);
        if since == 0 {
            return false;
        }
        if canary || began >= since {
            return self.clear();
        }
        self.set_free(key);
        self.is_holding()
    }

    /// Lets a key be used although others are held: it has nothing to do with the present refusals.
    pub(in crate::pool) fn set_free(&self, key: usize) {
        self.served.at(key / WORD).fetch_or(1 << (key % WORD), Ordering::AcqRel);
    }

    /// Records that a key was refused, as the canary or not.
    pub(in crate::pool) fn refused(&self, refusal: Refusal, canary: bool, now: u64) {
        let mut refusals = self.lock();
        let gate = self.gate.load(Ordering::Acquire);
        if gate != OPEN && !is_stale(gate, now) {
            // Refusals of other requests in flight are no news.
            if canary {
                self.hold(&mut refusals, refusal.until, now);
            }
            return;
        }
        self.gate.store(OPEN, Ordering::Release);
        if !refusals.join(refusal, now) {
            self.served.iter().for_each(|word| word.store(0, Ordering::Release));
            self.since.store(now.max(1), Ordering::Release);
        }
        if refusals.homes.len() >= CHORUS {
            self.hold(&mut refusals, refusal.until, now);
        }
    }

    /// Forgets all refusals. Returns whether any key was held.
    pub(in crate::pool) fn clear(&self) -> bool {
        let mut refusals = self.lock();
        *refusals = Refusals::default();
        self.since.store(0, Ordering::Release);
        self.gate.swap(OPEN, Ordering::AcqRel) != OPEN
    }

    /// Returns the cause for which keys are held.
    pub(in crate::pool) fn cause(&self) -> Option<Cause> {
        self.lock().latest.map(|latest| latest.cause)
    }

    fn hold(&self, refusals: &mut Refusals, until: u64, now: u64) {
        let first = refusals.latest.filter(|_| refusals.canaries == 0);
        // After a canary the earliest of the old times is over, so the canary's own time counts.
        let end = first.map_or(until, |first| first.until);
        let latency = match refusals.latest {
            Some(Refusal { cause: Cause::QuotaExceeded, .. }) => FIRST_TRIAL_MS << refusals.canaries,
            _ => HOLD_MS,
        };
        refusals.canaries = (refusals.canaries + 1).min(HOLD_MS.ilog2());
        self.gate.store(end.min(now.saturating_add(latency.min(HOLD_MS))).max(1), Ordering::Release);
    }

    fn was_served(&self, key: usize) -> bool {
        let word = self.served.get(key / WORD).map_or(0, |word| word.load(Ordering::Acquire));
        (word >> (key % WORD)) & 1 == 1
    }

    fn lock(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_stale(gate: u64, now: u64) -> bool {
    gate != TRIAL && now.saturating_sub(gate) > STALE_MS
}

// === impl Refusals ===

impl Refusals {
    /// Adds a refusal to those before it, if it is like them. Otherwise it becomes the first. Returns whether
    /// it was added.
    fn join(&mut self, refusal: Refusal, now: u64) -> bool {
        let alike = self
            .latest
            .is_some_and(|latest| now.saturating_sub(self.at) <= APART_MS && latest.is_like(refusal, now));
        if !alike {
            *self = Self { latest: Some(refusal), at: now, homes: vec![refusal.home], canaries: 0 };
            return false;
        }
        let earliest = self.latest.map_or(refusal.until, |latest| latest.until.min(refusal.until));
        self.latest = Some(Refusal { until: earliest, ..refusal });
        self.at = now;
        if !self.homes.contains(&refusal.home) {
            self.homes.push(refusal.home);
        }
        true
    }
}

impl Refusal {
    fn is_like(self, other: Self, now: u64) -> bool {
        let waits = [self.until, other.until].map(|until| until.saturating_sub(now));
        // Compares waits rather than times, so that the tolerance can grow with them.
        let tolerance = TOLERANCE_MS.max(waits[0].max(waits[1]) / 10);
        self.cause == other.cause && self.shown == other.shown && waits[0].abs_diff(waits[1]) <= tolerance
    }
}
