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

use super::lane::Bar;
use super::ramp::{Entry, Ramp};
pub(crate) use super::state::{Cause, FOREVER, Pass, State};
use super::state::{next, previous};
use crate::sync::{AtomicU64, Ordering};

/// Whether a scope may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Yes, with what the lease has to remember.
    Granted(Pass),
    /// Not before this time.
    Benched(u64),
    /// A probe is out.
    Probing,
    /// It has just recovered, and as many leases are out as it takes for now.
    Ramping,
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
    /// How many leases at a time it takes after a recovery.
    ramp: Ramp,
}

// === impl Slot ===

impl Slot {
    pub(crate) fn state(&self) -> State {
        State::unpack(self.word.load(Ordering::Acquire))
    }

    /// Whether the scope admits nobody at `now`, and in which state it is then.
    pub(crate) fn closed(&self, now: u64) -> Option<State> {
        let state = self.state();
        (state.is_closed(now) || self.is_full(state)).then_some(state)
    }

    /// What keeps it closed at `now`.
    pub(crate) fn bar(&self, now: u64) -> Bar {
        match self.closed(now) {
            None => Bar::Open,
            Some(State { until, .. }) if until > now && until < FOREVER => Bar::Until(until),
            Some(_) => Bar::Shut,
        }
    }

    /// Whether it has recovered, and as many leases are out as it takes for now.
    pub(crate) fn is_full(&self, state: State) -> bool {
        state.cause.is_none() && self.ramp.is_full(state.epoch)
    }

    /// Lets a lease in, as the single probe if a bench has just ended.
    pub(crate) fn admit(&self, now: u64) -> Admission {
        match self.admit_to_bench(now) {
            Admission::Granted(pass) if !pass.probe => match self.ramp.enter(pass.epoch) {
                Entry::Free => Admission::Granted(pass),
                Entry::Taken => Admission::Granted(Pass { ramp: true, ..pass }),
                Entry::Full => Admission::Ramping,
            },
            admission => admission,
        }
    }

    /// The lease has no use any more for its place on the ramp.
    pub(crate) fn step_off(&self, pass: Pass, succeeded: bool, last: u16) {
        self.ramp.leave(pass.epoch, succeeded, last);
    }

    fn admit_to_bench(&self, now: u64) -> Admission {
        let mut admission = Admission::Probing;
        self.update(|state| {
            let probe = state.cause.is_some_and(|cause| cause != Cause::Paced);
            admission = match state {
                State { cause: Some(_), until, .. } if until > now => Admission::Benched(until),
                State { probing: true, .. } => Admission::Probing,
                State { epoch, .. } => Admission::Granted(Pass { epoch, probe, ramp: false }),
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
        Pass { epoch, ..Pass::default() }
    }

    /// Lets one lease in although the bench has not ended; `None` if a probe is out or it is free.
    pub(crate) fn admit_early(&self) -> Option<Pass> {
        let mut pass = None;
        self.update(|state| {
            let allowed = state.cause.is_some() && !state.probing;
            pass = allowed.then_some(Pass { epoch: state.epoch, probe: true, ramp: false });
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
    ///
    /// `last` is the most leases at a time of the ramp that follows a limit.
    pub(crate) fn recover(&self, pass: Pass, now: u64, last: u16) -> Option<Pass> {
        let entitled = |state: State| pass.probe && state.probing && state.epoch == pass.epoch;
        let benched = self.state();
        if !entitled(benched) {
            return None;
        }
        // Nobody else is entitled: what happens to the ramp meanwhile is of older epochs.
        let epoch = next(pass.epoch);
        let limited = matches!(benched.cause, Some(Cause::RateLimited | Cause::QuotaExceeded));
        self.ramp.begin(epoch, if limited { last } else { 0 });
        let (before, after) = self.update(|state| if entitled(state) { state.cleared() } else { state });
        self.changed(before, after, now);
        if before == after {
            self.ramp.end(epoch);
            return None;
        }
        Some(Pass { epoch, ..Pass::default() })
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
        // There is none of this epoch, but for a probe that is succeeding just now.
        self.ramp.end(after.epoch);
        self.changed(before, after, now);
    }

    /// Benches the scope until then at least: no failure, but a change of regime, so that a probe that is out
    /// does not end it.
    pub(crate) fn cool_down(&self, until: u64, now: u64) {
        let (before, after) = self.update(|state| {
            if state.until == FOREVER {
                return state;
            }
            let cause = state.cause.or(Some(Cause::RateLimited));
            let until = state.until.max(until);
            State { until, cause, probing: false, epoch: next(state.epoch), ..state }
        });
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
