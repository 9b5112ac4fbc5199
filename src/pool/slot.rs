//! The state of one scope in one atomic word.
//!
//! Key, account, key × model and account × model each have a slot. All that decides whether a scope may
//! be used lies in one `u64`, every transition is a pure function from the old state to the new one, and
//! one compare-and-swap makes it happen: there is no order of two writes to get wrong, and what a reader
//! sees is always a state that was true at some moment.
//!
//! Two rules keep late news from doing harm. `until` only grows while a bench lasts, so that reports of
//! the same limit may arrive in any order. And every change of regime (benched, cleared, reset) raises
//! `epoch`: a lease that started in an older epoch can lengthen a bench, but neither end it nor count as
//! one more failure, so that fifty requests refused together are one strike and not fifty.

use std::fmt;

use crate::sync::{AtomicU64, Ordering};

/// Later than every cooldown: until replaced or reset.
pub(crate) const FOREVER: u64 = (1 << UNTIL_BITS) - 1;

/// Enough for milliseconds since the Unix epoch until the year 2109.
const UNTIL_BITS: u32 = 42;
const CAUSE_BITS: u32 = 3;
const STRIKE_BITS: u32 = 5;
const EPOCH_BITS: u32 = 13;

/// Why a scope is benched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    RateLimited = 1,
    QuotaExceeded = 2,
    Invalid = 3,
    Forbidden = 4,
}

/// The state of a scope, unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// When the bench ends, in milliseconds since the Unix epoch; zero unless benched.
    pub(crate) until: u64,
    /// `None`: free.
    pub(crate) cause: Option<Cause>,
    /// One lease is out to see whether the scope has recovered.
    pub(crate) probing: bool,
    /// Benches in a row, for the back-off.
    pub(crate) strikes: u8,
    /// Raised by every change of regime; wraps.
    pub(crate) epoch: u16,
}

/// What a lease remembers of a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) epoch: u16,
    pub(crate) probe: bool,
}

/// Whether a scope may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Yes, with what the lease has to remember.
    Granted(Pass),
    /// Not before this time.
    Benched(u64),
    /// A probe is out.
    Probing,
}

/// What [`Slot::bench`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Benched {
    /// The state before, for undoing.
    pub(crate) before: State,
    /// The state now.
    pub(crate) after: State,
}

/// A [`State`] shared by all leases.
#[derive(Default)]
pub(crate) struct Slot {
    word: AtomicU64,
    /// When the regime last changed, in milliseconds since the Unix epoch; zero: never. For people and
    /// for telling a burst; written after the word, so it may lag behind it.
    since: AtomicU64,
}

// === impl State ===

impl State {
    /// Whether the scope is benched at `now`, or has a probe out.
    pub(crate) const fn is_closed(self, now: u64) -> bool {
        self.cause.is_some() && (self.until > now || self.probing)
    }

    /// `until` says when a bench ends, given the failures in a row before it.
    fn benched(self, pass: Pass, cause: Cause, until: impl Fn(u8) -> u64) -> Self {
        let news = self.epoch == pass.epoch;
        if !news && self.cause.is_none() {
            // Cleared since this lease began, on newer evidence: an old report benches nobody.
            return self;
        }
        // A late report is of the failure that was counted already.
        let earlier = if news { self.strikes } else { self.strikes.saturating_sub(1) };
        let until = until(earlier).min(FOREVER);
        let longer = self.cause.is_none() || until > self.until;
        let benched = if longer { Self { until, cause: Some(cause), ..self } } else { self };
        if !news {
            return benched;
        }
        let strikes = if self.strikes < MAX_STRIKES { self.strikes + 1 } else { MAX_STRIKES };
        Self { probing: false, strikes, epoch: next(self.epoch), ..benched }
    }

    const fn cleared(self) -> Self {
        Self { until: 0, cause: None, probing: false, strikes: 0, epoch: next(self.epoch) }
    }

    const fn pack(self) -> u64 {
        let cause = match self.cause {
            Some(cause) => cause as u64,
            None => 0,
        };
        let mut word = self.until;
        word |= cause << UNTIL_BITS;
        word |= (self.probing as u64) << (UNTIL_BITS + CAUSE_BITS);
        word |= (self.strikes as u64) << (UNTIL_BITS + CAUSE_BITS + 1);
        word | (self.epoch as u64) << (64 - EPOCH_BITS)
    }

    const fn unpack(word: u64) -> Self {
        let cause = match (word >> UNTIL_BITS) & ((1 << CAUSE_BITS) - 1) {
            1 => Some(Cause::RateLimited),
            2 => Some(Cause::QuotaExceeded),
            3 => Some(Cause::Invalid),
            4 => Some(Cause::Forbidden),
            _ => None,
        };
        Self {
            until: word & FOREVER,
            cause,
            probing: (word >> (UNTIL_BITS + CAUSE_BITS)) & 1 == 1,
            strikes: ((word >> (UNTIL_BITS + CAUSE_BITS + 1)) & MAX_STRIKES as u64) as u8,
            epoch: (word >> (64 - EPOCH_BITS)) as u16,
        }
    }
}

const MAX_STRIKES: u8 = (1 << STRIKE_BITS) - 1;

const fn next(epoch: u16) -> u16 {
    (epoch + 1) & ((1 << EPOCH_BITS) - 1)
}

const fn previous(epoch: u16) -> u16 {
    epoch.wrapping_sub(1) & ((1 << EPOCH_BITS) - 1)
}

// === impl Slot ===

impl Slot {
    pub(crate) fn state(&self) -> State {
        State::unpack(self.word.load(Ordering::Acquire))
    }

    /// Lets a lease in, as the single probe if a bench has just ended.
    pub(crate) fn admit(&self, now: u64) -> Admission {
        let mut admission = Admission::Probing;
        self.update(|state| {
            let probe = state.cause.is_some();
            admission = match state {
                State { cause: Some(_), until, .. } if until > now => Admission::Benched(until),
                State { probing: true, .. } => Admission::Probing,
                State { epoch, .. } => Admission::Granted(Pass { epoch, probe }),
            };
            let granted = matches!(admission, Admission::Granted(_));
            State { probing: state.probing || (granted && probe), ..state }
        });
        admission
    }

    /// The pass of a lease that began without asking: of the present epoch, unless it began no earlier.
    pub(crate) fn pass_from(&self, began: u64) -> Pass {
        let epoch = self.state().epoch;
        let epoch = if self.since() < began { epoch } else { previous(epoch) };
        Pass { epoch, probe: false }
    }

    /// Lets one lease in although the bench has not ended; `None` if a probe is out or it is free.
    pub(crate) fn admit_early(&self) -> Option<Pass> {
        let mut pass = None;
        self.update(|state| {
            let allowed = state.cause.is_some() && !state.probing;
            pass = allowed.then_some(Pass { epoch: state.epoch, probe: true });
            State { probing: state.probing || allowed, ..state }
        });
        pass
    }

    /// Benches the scope; `until` says for how long, given the failures in a row before this one.
    pub(crate) fn bench(&self, pass: Pass, cause: Cause, now: u64, until: impl Fn(u8) -> u64) -> Benched {
        let (before, after) = self.update(|state| state.benched(pass, cause, &until));
        // What had no end and was probed early has been out all along.
        if before.cause != after.cause || before.until != FOREVER {
            self.changed(before, after, now);
        }
        Benched { before, after }
    }

    /// The probe succeeded: the scope is free. `None` if this pass was not entitled to say so, else the
    /// pass for what the same lease has to say about the freed scope.
    pub(crate) fn recover(&self, pass: Pass, now: u64) -> Option<Pass> {
        let (before, after) = self.update(|state| {
            let entitled = pass.probe && state.probing && state.epoch == pass.epoch;
            if entitled { state.cleared() } else { state }
        });
        self.changed(before, after, now);
        (before != after).then_some(Pass { epoch: after.epoch, probe: false })
    }

    /// The probe brought no news: the next lease may try.
    pub(crate) fn hand_back(&self, pass: Pass) {
        self.update(|state| {
            let ours = pass.probe && state.epoch == pass.epoch;
            State { probing: state.probing && !ours, ..state }
        });
    }

    /// Takes a bench back, unless something has happened since.
    pub(crate) fn undo(&self, benched: Benched, now: u64) {
        let Benched { before: old, after: ours } = benched;
        let (before, after) = self.update(|state| {
            let unchanged = state.epoch == ours.epoch && state.until == ours.until;
            if old.epoch == ours.epoch || !unchanged {
                return state;
            }
            State { epoch: next(state.epoch), probing: false, ..old }
        });
        self.changed(before, after, now);
    }

    /// Frees the scope whatever it was; older news is void.
    pub(crate) fn reset(&self, now: u64) {
        let (before, after) = self.update(State::cleared);
        self.changed(before, after, now);
    }

    /// Ends a bench now, so that the next lease probes.
    pub(crate) fn end_bench(&self, now: u64) {
        let (before, after) = self.update(|state| match state.cause {
            Some(_) if state.until > now => {
                State { until: now, epoch: next(state.epoch), probing: false, ..state }
            }
            _ => state,
        });
        self.changed(before, after, now);
    }

    /// When the regime last changed, in milliseconds since the Unix epoch; zero: never.
    pub(crate) fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    fn changed(&self, before: State, after: State, now: u64) {
        if before.epoch != after.epoch || before.cause != after.cause {
            self.since.fetch_max(now, Ordering::Relaxed);
        }
    }

    fn update(&self, mut change: impl FnMut(State) -> State) -> (State, State) {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let before = State::unpack(word);
            let after = change(before);
            if after == before {
                return (before, after);
            }
            match self.word.compare_exchange_weak(word, after.pack(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return (before, after),
                Err(newer) => word = newer,
            }
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}
