//! A slot: the state of one scope in one atomic word.
//!
//! Key, account, key × model and account × model each have a slot. Everything that decides whether a scope
//! may be used lies in one `u64`. Every transition is a pure function from the old state to the new one, and
//! one compare-and-swap applies it. So no order of two writes can go wrong, and a reader always sees a state
//! that was valid at some moment.
//!
//! Two rules keep late reports from doing harm. `until` only grows while a cooldown lasts, so that reports of
//! the same limit may arrive in any order. And every change of regime (cooldown, recovery, reset) raises
//! `epoch`: a lease that started in an older epoch can lengthen a cooldown, but can neither end it nor count
//! as one more failure. So fifty requests that are refused together are one strike and not fifty.

use std::fmt;

use crate::pool::scope::ready_bits::Bar;
use crate::pool::scope::slow_start::{Entry, Ramp};
pub(crate) use crate::pool::scope::state::{Cause, FOREVER, Permit, State};
use crate::pool::scope::state::{next, previous};
use crate::sync::{AtomicU64, Ordering};

/// The result of asking a slot for admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotAdmission {
    /// Admitted, with the permit that the lease keeps.
    Granted(Permit),
    /// Refused until this time, in milliseconds since the Unix epoch.
    CooldownChange(u64),
    /// Refused, because a probe is in flight.
    Probing,
    /// Refused, because the scope is in its slow start and all places are taken.
    Ramping,
}

/// The effect of a cooldown on a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CooldownChange {
    /// The state before, which an undo restores.
    pub(crate) before: State,
    /// The state after.
    pub(crate) after: State,
}

/// A [`State`] that all leases share.
#[derive(Default)]
pub(crate) struct Slot {
    word: AtomicU64,
    /// The time of the last change of regime, in milliseconds since the Unix epoch; zero means never. Used
    /// for reporting and to detect bursts. It is written after the word, so it may lag behind.
    since: AtomicU64,
    /// The slow start: the number of concurrent leases after a recovery.
    ramp: Ramp,
}

// === impl Slot ===

impl Slot {
    pub(crate) fn state(&self) -> State {
        State::unpack(self.word.load(Ordering::Acquire))
    }

    /// Returns the state if the scope admits no request at `now`.
    pub(crate) fn closed(&self, now: u64) -> Option<State> {
        let state = self.state();
        (state.is_closed(now) || self.is_full(state)).then_some(state)
    }

    /// Returns the reason why the scope is closed at `now`.
    pub(crate) fn bar(&self, now: u64) -> Bar {
        match self.closed(now) {
            None => Bar::Open,
            Some(State { until, .. }) if until > now && until < FOREVER => Bar::Until(until),
            Some(_) => Bar::Shut,
        }
    }

    /// Returns whether the scope is in its slow start and all places are taken.
    pub(crate) fn is_full(&self, state: State) -> bool {
        state.cause.is_none() && self.ramp.is_full(state.epoch)
    }

    /// Admits a lease. It is the single probe if a cooldown has just ended.
    pub(crate) fn admit(&self, now: u64) -> SlotAdmission {
        match self.admit_in_cooldown(now) {
            SlotAdmission::Granted(permit) if !permit.probe => match self.ramp.enter(permit.epoch) {
                Entry::Free => SlotAdmission::Granted(permit),
                Entry::Taken => SlotAdmission::Granted(Permit { ramp: true, ..permit }),
                Entry::Full => SlotAdmission::Ramping,
            },
            admission => admission,
        }
    }

    /// Gives back the place of a lease in the slow start.
    pub(crate) fn leave_slow_start(&self, permit: Permit, succeeded: bool, last: u16) {
        self.ramp.leave(permit.epoch, succeeded, last);
    }

    fn admit_in_cooldown(&self, now: u64) -> SlotAdmission {
        let mut admission = SlotAdmission::Probing;
        self.update(|state| {
            let probe = state.cause.is_some_and(|cause| cause != Cause::Paced);
            admission = match state {
                State { cause: Some(_), until, .. } if until > now => SlotAdmission::CooldownChange(until),
                State { probing: true, .. } => SlotAdmission::Probing,
                State { epoch, .. } => SlotAdmission::Granted(Permit { epoch, probe, ramp: false }),
            };
            let granted = matches!(admission, SlotAdmission::Granted(_));
            State { probing: state.probing || (granted && probe), ..state }
        });
        admission
    }

    /// Returns the permit of a lease that was not admitted here: of the present epoch if that began before
    /// the lease, and else of the previous one.
    pub(crate) fn pass_from(&self, began: u64) -> Permit {
        let epoch = self.state().epoch;
        let epoch = if self.since() < began { epoch } else { previous(epoch) };
        Permit { epoch, ..Permit::default() }
    }

    /// Admits one lease as a probe before the cooldown has ended. Returns `None` if a probe is in flight or
    /// the scope is not in a cooldown.
    pub(crate) fn admit_early(&self) -> Option<Permit> {
        let mut permit = None;
        self.update(|state| {
            let allowed = state.cause.is_some() && !state.probing;
            permit = allowed.then_some(Permit { epoch: state.epoch, probe: true, ramp: false });
            State { probing: state.probing || allowed, ..state }
        });
        permit
    }

    /// Puts the scope into a cooldown. `until` returns its end, given the failures in a row before this one.
    pub(crate) fn begin_cooldown(
        &self,
        permit: Permit,
        cause: Cause,
        now: u64,
        until: impl Fn(u8) -> u64,
    ) -> CooldownChange {
        let (before, after) = self.update(|state| state.cooldown(permit, cause, now, &until));
        // A scope without an end that was probed early has been out all along, so the time of the change
        // stays.
        if before.cause != after.cause || before.until != FOREVER {
            self.changed(before, after, now);
        }
        CooldownChange { before, after }
    }

    /// Ends a cooldown after its probe succeeded. Returns `None` if the permit is not entitled to end it;
    /// otherwise the permit under which the same lease reports on the freed scope.
    ///
    /// `last` is the maximum number of concurrent leases during the slow start, which follows a limit.
    pub(crate) fn recover(&self, permit: Permit, now: u64, last: u16) -> Option<Permit> {
        let entitled = |state: State| permit.probe && state.probing && state.epoch == permit.epoch;
        let cooldown = self.state();
        if !entitled(cooldown) {
            return None;
        }
        // No other lease is entitled. Any change of the slow start in the meantime belongs to an older epoch.
        let epoch = next(permit.epoch);
        let limited = matches!(
            cooldown.cause,
            Some(Cause::RateLimited | Cause::Guessed | Cause::Forced | Cause::QuotaExceeded)
        );
        self.ramp.begin(epoch, if limited { last } else { 0 });
        let (before, after) = self.update(|state| if entitled(state) { state.cleared() } else { state });
        self.changed(before, after, now);
        if before == after {
            self.ramp.end(epoch);
            return None;
        }
        Some(Permit { epoch, ..Permit::default() })
    }

    /// Gives a probe back without a result, so that the next lease may probe.
    pub(crate) fn hand_back(&self, permit: Permit) {
        self.update(|state| {
            let ours = permit.probe && state.epoch == permit.epoch;
            State { probing: state.probing && !ours, ..state }
        });
    }

    /// Undoes a cooldown, unless the state has changed since.
    pub(crate) fn undo(&self, cooldown: CooldownChange, now: u64) {
        let CooldownChange { before: old, after: ours } = cooldown;
        let (before, after) = self.update(|state| {
            let unchanged = state.epoch == ours.epoch && state.until == ours.until;
            if old.epoch == ours.epoch || !unchanged {
                return state;
            }
            State { epoch: next(state.epoch), probing: false, ..old }
        });
        self.changed(before, after, now);
    }

    /// Frees the scope, whatever its state. Reports of earlier attempts have no effect.
    pub(crate) fn reset(&self, now: u64) {
        let (before, after) = self.update(State::cleared);
        // The new epoch has no slow start, except from a probe that succeeds at the same time.
        self.ramp.end(after.epoch);
        self.changed(before, after, now);
    }

    /// Puts the scope into a cooldown until at least `until`, by an operator's order of the time `since`. It counts
    /// as no failure, but as a change of regime, so that a probe in flight does not end it. Returns whether that
    /// changes anything.
    pub(crate) fn force(&self, until: u64, since: u64) -> bool {
        let (before, after) = self.update(|state| state.forced(until, since));
        self.changed(before, after, since);
        before != after
    }

    /// Takes over a cooldown from another process or an earlier run, unless the present one lasts longer.
    /// `since` is the time at which it began. Returns whether that changes anything.
    pub(crate) fn adopt(&self, cooldown: State, since: u64, now: u64) -> bool {
        let State { until, cause, strikes, .. } = cooldown;
        let (before, after) = self.update(|state| {
            if state.cause.is_some() && state.until >= until {
                return state;
            }
            let strikes = strikes.max(state.strikes);
            let longer = cause.map_or(state, |cause| state.lengthened(until, cause, now));
            State { until, cause: longer.cause, strikes, probing: false, epoch: next(state.epoch) }
        });
        self.changed(before, after, since.max(1));
        before != after
    }

    /// Ends the cooldown of an invalid scope, unless its regime has changed since `epoch`. Returns whether it did.
    pub(crate) fn prove_valid(&self, epoch: u16, now: u64) -> bool {
        let (before, after) = self.update(|state| match state.cause {
            Some(Cause::Invalid) if state.epoch == epoch => state.cleared(),
            _ => state,
        });
        self.changed(before, after, now);
        before != after
    }

    /// Ends a cooldown now, so that the next lease probes.
    pub(crate) fn end_bench(&self, now: u64) {
        let (before, after) = self.update(|state| match state.cause {
            Some(_) if state.until > now => {
                State { until: now, epoch: next(state.epoch), probing: false, ..state }
            }
            _ => state,
        });
        self.changed(before, after, now);
    }

    /// Returns the time of the last change of regime, in milliseconds since the Unix epoch. Zero means never.
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
