use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::limits::ledger::sharing::allotment::Allotment;
use crate::limits::ledger::sharing::demand::{Demand, Grant, LimitShape, Others};
use crate::limits::ledger::sharing::link::Sharing;

const WINDOW: LimitShape = LimitShape { size: 10, interval: 0.0 };

/// One unit a second.
const BUCKET: LimitShape = LimitShape { size: 10, interval: 1e6 };

fn at(seconds: u64) -> Moment {
    Moment::from_unix_us(seconds * 1_000_000)
}

/// An allotment to which the store has granted nothing, at 100 s, when this amount was left.
fn denied(limit: LimitShape, left: u64) -> Allotment {
    let mut allotment = Allotment::new(&Arc::<Sharing>::default(), 0);
    let demand = allotment.demand(limit, Others::Content, at(100)).unwrap();
    allotment.grant(&demand, Grant { held: 0, left, free: 0 }, at(100));
    allotment
}

fn demanded(allotment: &mut Allotment, limit: LimitShape, now: Moment) -> Option<Demand> {
    allotment.demand(limit, Others::Content, now)
}

#[test]
fn a_wait_ends_when_there_can_be_more() {
    let soon = at(100).saturating_add(Duration::from_millis(20)).as_unix_us();
    let ends = Some(at(5_000).as_unix_us());
    for (limit, left, amount, ends, expected) in [
        (WINDOW, 0, 1, ends, at(5_000).as_unix_us()),
        (WINDOW, 3, 4, ends, at(5_000).as_unix_us()),
        (WINDOW, 3, 3, ends, soon),
        (BUCKET, 0, 1, None, at(101).as_unix_us()),
        (BUCKET, 2, 5, None, at(103).as_unix_us()),
        (BUCKET, 5, 5, None, soon),
    ] {
        let mut allotment = denied(limit, left);
        assert!(!allotment.has_room_for(amount, at(100)));
        assert_eq!(allotment.refuse(amount, limit, ends, at(100)), expected, "{limit:?} {left} {amount}");
    }
}

#[test]
fn what_was_refused_is_demanded_again_each_second() {
    let mut allotment = denied(WINDOW, 0);
    allotment.refuse(2, WINDOW, None, at(100));
    let demand = demanded(&mut allotment, WINDOW, at(100)).unwrap();
    assert_eq!(demand.least, 2);
    allotment.grant(&demand, Grant { held: 0, left: 0, free: 0 }, at(100));
    assert_eq!(demanded(&mut allotment, WINDOW, at(101)), None);
    let again = demanded(&mut allotment, WINDOW, at(102)).unwrap();
    assert_eq!((again.least, again.wanted), (2, 2));
    assert!(allotment.grant(&again, Grant { held: 2, left: 2, free: 0 }, at(102)));
    assert!(allotment.has_room_for(2, at(102)));
}

#[test]
fn an_idle_instance_keeps_nothing_that_others_lack() {
    let mut allotment = denied(WINDOW, 10);
    let demand = demanded(&mut allotment, WINDOW, at(102)).unwrap();
    allotment.grant(&demand, Grant { held: 10, left: 10, free: 0 }, at(102));
    let hungry = |allotment: &mut Allotment, now| allotment.demand(WINDOW, Others::Hungry, now).unwrap();
    assert_eq!(hungry(&mut allotment, at(103)).kept, 0);
    // One that is in use keeps what it is likely to need.
    let mut allotment = denied(WINDOW, 10);
    let demand = demanded(&mut allotment, WINDOW, at(102)).unwrap();
    allotment.grant(&demand, Grant { held: 10, left: 10, free: 0 }, at(102));
    allotment.take(2);
    assert_eq!(hungry(&mut allotment, at(103)).kept, 4);
}
