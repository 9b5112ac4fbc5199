//! Model checks of one slot.

use loom::sync::Arc;
use loom::thread;

use crate::pool::scope::slot::{Cause, Permit, Slot, SlotAdmission, State};

const LIMIT: Cause = Cause::RateLimited;
/// Maximum number of concurrent leases that a slow start counts.
const LAST: u16 = 4;

fn shared() -> Arc<Slot> {
    Arc::new(Slot::default())
}

/// Returns a slot whose cooldown ended at 10.
fn due() -> Arc<Slot> {
    let slot = shared();
    slot.begin_cooldown(pass(&slot), LIMIT, 1, |_| 10);
    slot
}

/// Admits a lease that begins now.
fn pass(slot: &Slot) -> Permit {
    match slot.admit(0) {
        SlotAdmission::Granted(pass) => pass,
        SlotAdmission::CooldownChange(_) | SlotAdmission::Probing | SlotAdmission::Ramping => {
            panic!("not free")
        }
    }
}

fn probe(slot: &Slot) -> Option<Permit> {
    match slot.admit(10) {
        SlotAdmission::Granted(pass) => Some(pass),
        SlotAdmission::CooldownChange(_) | SlotAdmission::Probing | SlotAdmission::Ramping => None,
    }
}

#[test]
fn of_all_who_ask_after_a_cooldown_one_is_the_probe() {
    loom::model(|| {
        let slot = due();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let slot = Arc::clone(&slot);
                thread::spawn(move || probe(&slot))
            })
            .collect();
        let mine = probe(&slot);
        let theirs = others.into_iter().map(|other| other.join().unwrap());
        let granted: Vec<_> = theirs.chain([mine]).flatten().collect();
        assert_eq!(granted.len(), 1);
        assert!(granted[0].probe);
    });
}

#[test]
fn a_probe_that_is_handed_back_is_granted_to_one_other() {
    loom::model(|| {
        let slot = due();
        let other = Arc::clone(&slot);
        let other = thread::spawn(move || {
            let pass = probe(&other)?;
            other.hand_back(pass);
            Some(())
        });
        if let Some(pass) = probe(&slot) {
            slot.hand_back(pass);
        }
        other.join().unwrap();
        assert!(probe(&slot).is_some());
        assert!(probe(&slot).is_none());
    });
}

#[test]
fn what_recovers_takes_two_at_a_time_however_many_come() {
    loom::model(|| {
        let slot = due();
        let mine = probe(&slot).unwrap();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let slot = Arc::clone(&slot);
                thread::spawn(move || probe(&slot))
            })
            .collect();
        slot.recover(mine, 11, LAST);
        let early = probe(&slot);
        let granted = others.into_iter().map(|other| other.join().unwrap()).chain([early]);
        let granted: Vec<_> = granted.flatten().collect();
        assert!(granted.iter().all(|pass| pass.ramp), "{granted:?}");
        assert!(granted.len() <= 2, "{granted:?}");
        assert!(granted.len() == 2 || probe(&slot).is_some(), "a place is lost");
    });
}

#[test]
fn places_on_a_ramp_are_never_more_than_allowed() {
    loom::model(|| {
        let slot = due();
        slot.recover(probe(&slot).unwrap(), 11, LAST);
        let held = [0, 1].map(|_| probe(&slot).unwrap());
        let other = Arc::clone(&slot);
        let other = thread::spawn(move || {
            other.leave_slow_start(held[0], true, LAST);
            [0, 1, 2, 3].map(|_| probe(&other)).into_iter().flatten().count()
        });
        slot.leave_slow_start(held[1], false, LAST);
        let mine = [0, 1, 2, 3].map(|_| probe(&slot)).into_iter().flatten().count();
        assert!(mine + other.join().unwrap() == 4, "four after one success");
        assert!(probe(&slot).is_none());
    });
}

#[test]
fn a_reset_leaves_no_ramp() {
    loom::model(|| {
        let slot = due();
        let mine = probe(&slot).unwrap();
        let other = Arc::clone(&slot);
        let other = thread::spawn(move || other.reset(11));
        let recovered = slot.recover(mine, 11, LAST).is_some();
        other.join().unwrap();
        if !recovered {
            assert!((0..5).all(|_| probe(&slot).is_some()));
        }
    });
}

#[test]
fn of_two_cooldowns_the_longer_counts() {
    loom::model(|| {
        let slot = shared();
        let (one, two) = (pass(&slot), pass(&slot));
        let other = Arc::clone(&slot);
        let other = thread::spawn(move || other.begin_cooldown(one, LIMIT, 1, |_| 30));
        slot.begin_cooldown(two, LIMIT, 1, |_| 20);
        other.join().unwrap();
        let State { until, strikes, .. } = slot.state();
        assert_eq!((until, strikes), (30, 1));
    });
}

#[test]
fn a_failed_probe_never_shortens_a_late_report() {
    loom::model(|| {
        let slot = shared();
        let (one, late) = (pass(&slot), pass(&slot));
        slot.begin_cooldown(one, LIMIT, 1, |_| 10);
        let probe = probe(&slot).unwrap();
        let other = Arc::clone(&slot);
        let other = thread::spawn(move || other.begin_cooldown(late, LIMIT, 11, |_| 30));
        slot.begin_cooldown(probe, LIMIT, 11, |_| 20);
        other.join().unwrap();
        let State { until, strikes, probing, .. } = slot.state();
        assert_eq!((until, strikes, probing), (30, 2, false));
    });
}

#[test]
fn a_reset_voids_the_news_of_a_probe() {
    loom::model(|| {
        let slot = due();
        let probe = probe(&slot).unwrap();
        let other = Arc::clone(&slot);
        let other = thread::spawn(move || other.reset(11));
        slot.begin_cooldown(probe, LIMIT, 11, |_| 30);
        other.join().unwrap();
        assert_eq!(slot.state().cause, None);
    });
}

#[test]
fn an_undone_bench_leaves_what_others_reported() {
    loom::model(|| {
        let slot = shared();
        let (one, late) = (pass(&slot), pass(&slot));
        let cooldown = slot.begin_cooldown(one, LIMIT, 1, |_| 20);
        let other = Arc::clone(&slot);
        let other = thread::spawn(move || other.begin_cooldown(late, LIMIT, 1, |_| 30));
        slot.undo(cooldown, 2);
        other.join().unwrap();
        let state = slot.state();
        assert!(state.cause.is_none() || state.until == 30, "{state:?}");
    });
}
