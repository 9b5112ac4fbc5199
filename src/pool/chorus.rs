//! Keys that are refused in chorus.
//!
//! Some providers never say whose limit was hit (Gemini, and everybody who names no account). Ten keys of
//! one project are then ten accounts as far as anybody knows, and one limit costs ten refusals. But they
//! are refused one after the other, at once, for the same reason, until the same time, and none is served
//! in between. When that has happened to [`CHORUS`] keys, the others of which nothing better is known are
//! held until the earliest of these times, and are then tried one at a time; the first that is served has
//! contradicted, and frees them all.
//!
//! Holding a key that was fine is worse than a refusal too many, so what counts as better known is anything
//! at all: a declared account, one that its answers named, a success after the first refusal, being a
//! backup. Nobody is held for longer than a minute without a trial; for a used-up quota, whose times are
//! long and alike by nature (midnight), the trials begin after a second. What was learned so is never
//! written into the keys: it ends with the hold.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Lease;
use super::place::Level;
use super::slot::Cause;
use crate::clock::Timestamp;

/// How many keys, one after the other, make a chorus.
const CHORUS: usize = 3;
/// No more time than this between one refusal and the next.
const APART_MS: u64 = 1_000;
/// Times are the same that are no further apart, or by no more than a tenth of the longer wait.
const TOLERANCE_MS: u64 = 250;
/// The longest time without a trial.
const HOLD_MS: u64 = 60_000;
/// The time until the first trial for a quota; doubled by each.
const FIRST_TRIAL_MS: u64 = 1_000;
/// A trial that nobody came for in so long after its time is not needed any more.
const STALE_MS: u64 = 10_000;

const WORD: usize = u64::BITS as usize;
/// The gate: nobody is held.
const OPEN: u64 = 0;
/// The gate: a trial is out.
const TRIAL: u64 = u64::MAX;

/// What is known about keys that are refused one after the other, for one model or whatever the model.
pub(super) struct Chorus {
    /// When the first of the refusals came that may become one, in milliseconds since the Unix epoch; zero:
    /// there are none.
    since: AtomicU64,
    /// [`OPEN`], [`TRIAL`], or when the next trial may begin. Becomes `TRIAL` by whoever swaps it; all
    /// else happens under the lock.
    gate: AtomicU64,
    /// One bit a key: it was served after `since`, by a request from before.
    served: Box<[AtomicU64]>,
    refusals: Mutex<Refusals>,
}

#[derive(Default)]
struct Refusals {
    latest: Option<Refusal>,
    /// When the latest came.
    at: u64,
    /// The homes of the keys that were refused, at most [`CHORUS`].
    homes: Vec<usize>,
    /// Refusals since they became a chorus, for the pace of the trials.
    trials: u32,
}

/// A key was refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// The account that the key was given when the pool was built: tells keys apart.
    pub(super) home: usize,
    /// Where it lives by now, if its answers have shown that.
    pub(super) shown: Option<usize>,
    pub(super) cause: Cause,
    /// When its bench ends, in milliseconds since the Unix epoch.
    pub(super) until: u64,
}

/// Whether a key of which nothing is known may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// As a trial, which whoever asks has now.
    Trial,
    /// Not before this time; `None`: a trial is out.
    Held(Option<u64>),
}

// === impl Chorus ===

impl Chorus {
    pub(super) fn new(keys: usize) -> Self {
        Self {
            since: AtomicU64::new(0),
            gate: AtomicU64::new(OPEN),
            served: (0..keys.div_ceil(WORD)).map(|_| AtomicU64::new(0)).collect(),
            refusals: Mutex::default(),
        }
    }

    /// Whether keys are held: for as long as none is, asking costs one load.
    pub(super) fn is_holding(&self) -> bool {
        self.gate.load(Ordering::Acquire) != OPEN
    }

    /// What stands between a key of which nothing is known and a request.
    pub(super) fn gate(&self, key: usize, now: u64) -> Gate {
        match self.gate.load(Ordering::Acquire) {
            OPEN => Gate::Open,
            _ if self.was_served(key) => Gate::Open,
            TRIAL => Gate::Held(None),
            next if is_stale(next, now) => Gate::Open,
            next => Gate::Held(Some(next)),
        }
    }

    /// The same, and takes the trial if one is due.
    pub(super) fn ask(&self, key: usize, now: u64) -> Gate {
        match self.gate(key, now) {
            Gate::Held(Some(next)) if next <= now => {
                match self.gate.compare_exchange(next, TRIAL, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => Gate::Trial,
                    Err(_) => Gate::Held(None),
                }
            }
            gate => gate,
        }
    }

    /// A trial has brought no news: the next may begin.
    pub(super) fn hand_back(&self, now: u64) {
        let _refusals = self.lock();
        // Unless somebody was served meanwhile, and all are free.
        let _ = self.gate.compare_exchange(TRIAL, now, Ordering::AcqRel, Ordering::Acquire);
    }

    /// A key was served by a request that began then. Returns whether that frees anybody.
    pub(super) fn succeeded(&self, key: usize, began: u64, trial: bool) -> bool {
        let since = self.since.load(Ordering::Acquire);
        if since == 0 {
            return false;
        }
        if trial || began >= since {
            return self.clear();
        }
        if let Some(word) = self.served.get(key / WORD) {
            word.fetch_or(1 << (key % WORD), Ordering::AcqRel);
        }
        self.is_holding()
    }

    /// A key was refused, as a trial or not.
    pub(super) fn refused(&self, refusal: Refusal, trial: bool, now: u64) {
        let mut refusals = self.lock();
        let gate = self.gate.load(Ordering::Acquire);
        if gate != OPEN && !is_stale(gate, now) {
            // Others that were under way are no news.
            if trial {
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

    /// Forgets all of it. Returns whether anybody was held.
    pub(super) fn clear(&self) -> bool {
        let mut refusals = self.lock();
        *refusals = Refusals::default();
        self.since.store(0, Ordering::Release);
        self.gate.swap(OPEN, Ordering::AcqRel) != OPEN
    }

    /// Why keys are held.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.lock().latest.map(|latest| latest.cause)
    }

    fn hold(&self, refusals: &mut Refusals, until: u64, now: u64) {
        let first = refusals.latest.filter(|_| refusals.trials == 0);
        // After a trial the earliest of the old times is over: the trial's own counts.
        let end = first.map_or(until, |first| first.until);
        let pace = match refusals.latest {
            Some(Refusal { cause: Cause::QuotaExceeded, .. }) => FIRST_TRIAL_MS << refusals.trials,
            _ => HOLD_MS,
        };
        refusals.trials = (refusals.trials + 1).min(HOLD_MS.ilog2());
        self.gate.store(end.min(now.saturating_add(pace.min(HOLD_MS))).max(1), Ordering::Release);
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
    /// Whether a refusal is of a kind with those before it; else it is the first.
    fn join(&mut self, refusal: Refusal, now: u64) -> bool {
        let alike = self
            .latest
            .is_some_and(|latest| now.saturating_sub(self.at) <= APART_MS && latest.is_like(refusal, now));
        if !alike {
            *self = Self { latest: Some(refusal), at: now, homes: vec![refusal.home], trials: 0 };
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
        let tolerance = TOLERANCE_MS.max(waits[0].max(waits[1]) / 10);
        self.cause == other.cause && self.shown == other.shown && waits[0].abs_diff(waits[1]) <= tolerance
    }
}

// === impl Lease ===

impl Lease {
    /// Being served contradicts whoever holds keys back because others were refused.
    pub(super) fn contradict(&mut self) {
        let trials = std::mem::take(&mut self.trials);
        let mut frees = false;
        for (chorus, trial) in self.place().choruses().into_iter().flatten().zip(trials) {
            frees |= chorus.succeeded(self.set.key(), self.began.as_unix_ms(), trial);
        }
        if frees {
            self.set.common.freed.tell();
        }
    }

    /// A limit of an account may be one of other accounts, too.
    pub(super) fn join_chorus(&mut self, level: Level, cause: Cause, until: u64, now: Timestamp) {
        let limit = matches!(cause, Cause::RateLimited | Cause::QuotaExceeded);
        if !limit || !Level::OF_ACCOUNT.contains(&level) || !self.place().may_be_kin() {
            return;
        }
        let trial = std::mem::take(&mut self.trials[usize::from(level.is_model())]);
        let account = &self.place().key().account;
        let refusal = Refusal { home: account.home(), shown: account.shown(), cause, until };
        if let Some(chorus) = self.place().choruses()[usize::from(level.is_model())] {
            chorus.refused(refusal, trial, now.as_unix_ms());
        }
        if trial {
            self.set.common.freed.tell();
        }
    }
}
