//! Model checks of the ready bits (`ReadyBits`) and of the slots that they follow.

use loom::sync::Arc;
use loom::thread;

use crate::pool::scope::ready_bits::{ReadyBits, only};
use crate::pool::scope::slot::{Cause, FOREVER, Permit, Slot, SlotAdmission, State};

const LIMIT: Cause = Cause::RateLimited;
const LATER: u64 = 1_000;
/// Maximum number of concurrent leases that a slow start counts.
const LAST: u16 = 2;

/// Two keys whose bits are in one word of the ready bits.
struct Keys {
    lane: ReadyBits,
    slots: [Slot; 2],
}

impl Keys {
    fn new() -> Arc<Self> {
        Arc::new(Self { lane: ReadyBits::new(2), slots: [Slot::default(), Slot::default()] })
    }

    fn sync(&self, key: usize, now: u64) {
        self.lane.sync(|| self.slots[key].bar(now), &only(key));
    }

    fn admit(&self, key: usize, now: u64) -> Option<Permit> {
        let admission = self.slots[key].admit(now);
        if !matches!(admission, SlotAdmission::Granted(Permit { probe: false, ramp: false, .. })) {
            self.sync(key, now);
        }
        match admission {
            SlotAdmission::Granted(pass) => Some(pass),
            SlotAdmission::CooldownChange(_) | SlotAdmission::Probing | SlotAdmission::Ramping => None,
        }
    }

    fn begin_cooldown(&self, key: usize, pass: Permit, now: u64, until: u64) {
        self.slots[key].begin_cooldown(pass, LIMIT, now, |_| until);
        self.sync(key, now);
    }

    fn reset(&self, key: usize, now: u64) {
        self.slots[key].reset(now);
        self.sync(key, now);
    }

    fn hand_back(&self, key: usize, pass: Permit, now: u64) {
        self.slots[key].hand_back(pass);
        self.sync(key, now);
    }

    fn leave_slow_start(&self, key: usize, pass: Permit, succeeded: bool, now: u64) {
        if pass.ramp {
            self.slots[key].leave_slow_start(pass, succeeded, LAST);
            self.sync(key, now);
        }
    }

    /// Returns keys of which the first has just recovered by a probe and is in its slow start.
    fn recovered() -> Arc<Self> {
        let keys = Self::new();
        let pass = keys.admit(0, 1).unwrap();
        keys.begin_cooldown(0, pass, 1, 10);
        keys.refresh(10);
        let probe = keys.admit(0, 10).unwrap();
        keys.slots[0].recover(probe, 10, LAST);
        keys.sync(0, 10);
        keys
    }

    fn refresh(&self, now: u64) {
        self.lane.refresh(now, |key| match self.slots.get(key)?.state() {
            state @ State { cause: None, .. } => (!self.slots[key].is_full(state)).then_some(0),
            State { probing: true, .. } | State { until: FOREVER, .. } => None,
            State { until, .. } => Some(until),
        });
    }

    /// Checks, after all threads are done, that the ready bits show every usable key.
    fn no_key_is_lost(&self) {
        self.refresh(LATER);
        for (key, slot) in self.slots.iter().enumerate() {
            let shown = self.lane.word(0) & (1 << key) != 0;
            assert!(shown || slot.closed(LATER).is_some(), "key {key}: {:?}", slot.state());
        }
    }
}

/// Runs a scenario in every order of the steps of all its threads, with any number of preemptions.
fn orders(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = None;
    builder.check(scenario);
}

fn with(keys: &Arc<Keys>, work: impl FnOnce(&Keys) + Send + 'static) -> thread::JoinHandle<()> {
    let keys = Arc::clone(keys);
    thread::spawn(move || work(&keys))
}

#[test]
fn a_key_benched_while_others_wake_is_not_lost() {
    orders(|| {
        let keys = Keys::new();
        let passes = [0, 1].map(|key| keys.admit(key, 1).unwrap());
        keys.begin_cooldown(0, passes[0], 1, 10);
        let other = with(&keys, |keys| keys.refresh(10));
        keys.begin_cooldown(1, passes[1], 9, 20);
        other.join().unwrap();
        keys.no_key_is_lost();
    });
}

#[test]
fn a_bench_that_ends_before_the_one_known_is_not_slept_through() {
    orders(|| {
        let keys = Keys::new();
        let passes = [0, 1].map(|key| keys.admit(key, 1).unwrap());
        keys.begin_cooldown(0, passes[0], 1, 20);
        let other = with(&keys, |keys| keys.refresh(20));
        keys.begin_cooldown(1, passes[1], 9, 10);
        other.join().unwrap();
        keys.no_key_is_lost();
    });
}

#[test]
fn two_who_wake_lose_nothing() {
    orders(|| {
        let keys = Keys::new();
        let passes = [0, 1].map(|key| keys.admit(key, 1).unwrap());
        keys.begin_cooldown(0, passes[0], 1, 10);
        keys.begin_cooldown(1, passes[1], 1, 20);
        let other = with(&keys, |keys| keys.refresh(10));
        keys.refresh(20);
        other.join().unwrap();
        keys.no_key_is_lost();
    });
}

#[test]
fn a_reset_during_a_bench_leaves_the_key_usable() {
    orders(|| {
        let keys = Keys::new();
        let pass = keys.admit(0, 1).unwrap();
        let other = with(&keys, |keys| keys.reset(0, 2));
        keys.begin_cooldown(0, pass, 2, FOREVER);
        other.join().unwrap();
        let shown = keys.lane.word(0) & 1 == 1;
        assert!(shown || keys.slots[0].state().is_closed(LATER));
    });
}

#[test]
fn a_key_whose_probe_fails_while_another_looks_at_it_is_not_lost() {
    orders(|| {
        let keys = Keys::new();
        let pass = keys.admit(0, 1).unwrap();
        keys.begin_cooldown(0, pass, 1, 10);
        keys.refresh(10);
        let probe = keys.admit(0, 10).unwrap();
        // The other thread looks while the probe is out, and may be suspended for longer than the new
        // cooldown lasts.
        let other = with(&keys, |keys| {
            keys.admit(0, 10);
        });
        keys.begin_cooldown(0, probe, 11, 20);
        keys.refresh(20);
        other.join().unwrap();
        keys.no_key_is_lost();
    });
}

#[test]
fn a_probe_that_is_handed_back_while_another_looks_is_not_lost() {
    orders(|| {
        let keys = Keys::new();
        let pass = keys.admit(0, 1).unwrap();
        keys.begin_cooldown(0, pass, 1, 10);
        keys.refresh(10);
        let probe = keys.admit(0, 10).unwrap();
        let other = with(&keys, |keys| {
            if let Some(pass) = keys.admit(0, 10) {
                keys.hand_back(0, pass, 10);
            }
        });
        keys.hand_back(0, probe, 10);
        other.join().unwrap();
        keys.no_key_is_lost();
        assert!(keys.admit(0, LATER).is_some_and(|pass| pass.probe));
    });
}

#[test]
fn a_key_whose_account_is_probed_while_others_wake_is_not_lost() {
    orders(|| {
        // Two slots close one bit: the key's own slot until 10, and its account's slot.
        let keys = Keys::new();
        let deadline = |keys: &Keys| {
            let states = [keys.slots[0].state(), keys.slots[1].state()];
            let timeless = states.iter().any(|state| state.probing || state.until == FOREVER);
            (!timeless).then(|| states[0].until.max(states[1].until))
        };
        let refresh =
            move |keys: &Keys, now| keys.lane.refresh(now, |key| (key == 0).then(|| deadline(keys))?);
        let bit = only(0);
        let passes = [0, 1].map(|slot| keys.admit(slot, 1).unwrap());
        keys.slots[1].begin_cooldown(passes[1], LIMIT, 1, |_| 5);
        let SlotAdmission::Granted(probe) = keys.slots[1].admit(5) else { panic!("due") };
        keys.lane.sync(|| keys.slots[1].bar(5), &bit);
        keys.begin_cooldown(0, passes[0], 5, 10);

        let other = with(&keys, move |keys| refresh(keys, 10));
        keys.slots[1].begin_cooldown(probe, LIMIT, 9, |_| 20);
        keys.lane.sync(|| keys.slots[1].bar(9), &bit);
        refresh(&keys, 20);
        other.join().unwrap();
        refresh(&keys, LATER);
        assert_eq!(keys.lane.word(0) & 1, 1);
    });
}

#[test]
fn a_place_that_is_returned_while_another_takes_the_last_is_not_lost() {
    for succeeded in [false, true] {
        orders(move || {
            let keys = Keys::recovered();
            let mine = keys.admit(0, 11).unwrap();
            let other = with(&keys, |keys| {
                keys.admit(0, 11);
            });
            keys.leave_slow_start(0, mine, succeeded, 11);
            other.join().unwrap();
            // One permit is left. The bit must be set, because no deadline is going to set it.
            assert_eq!(keys.lane.word(0) & 1, 1);
            assert!(keys.admit(0, 12).is_some());
        });
    }
}

#[test]
fn a_ramp_that_is_full_is_not_shown_for_long_and_not_hidden_for_ever() {
    orders(|| {
        let keys = Keys::recovered();
        let passes = [0, 1].map(|_| keys.admit(0, 11).unwrap());
        let other = with(&keys, |keys| {
            assert!(keys.admit(0, 11).is_none_or(|pass| pass.ramp));
        });
        keys.leave_slow_start(0, passes[0], false, 11);
        other.join().unwrap();
        keys.leave_slow_start(0, passes[1], false, 11);
        assert_eq!(keys.lane.word(0) & 1, 1);
    });
}

#[test]
fn a_bench_ends_a_ramp_and_the_place_that_is_returned_late_opens_nothing() {
    orders(|| {
        let keys = Keys::recovered();
        let passes = [0, 1].map(|_| keys.admit(0, 11).unwrap());
        let [late, refused] = passes;
        let other = with(&keys, move |keys| keys.leave_slow_start(0, late, true, 12));
        keys.begin_cooldown(0, refused, 12, 20);
        keys.leave_slow_start(0, refused, false, 12);
        other.join().unwrap();
        assert!(keys.admit(0, 13).is_none());
        keys.no_key_is_lost();
        assert!(keys.admit(0, LATER).is_some_and(|pass| pass.probe));
    });
}
