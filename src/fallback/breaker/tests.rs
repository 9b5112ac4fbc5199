use proptest::prelude::*;

use crate::fallback::breaker::*;

const START: u64 = 1_800_000_000_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(START + ms)
}

fn breaker() -> Breaker {
    Breaker::new(BreakerPolicy::new())
}

fn fail(breaker: &Breaker, ms: u64) -> bool {
    breaker.enter(at(ms)).expect("it lets a call pass").failed(at(ms)).is_some()
}

fn succeed(breaker: &Breaker, ms: u64) -> bool {
    breaker.enter(at(ms)).expect("it lets a call pass").succeeded(at(ms))
}

fn opened() -> Breaker {
    let breaker = breaker();
    let opened: Vec<_> = (0..5).map(|_| fail(&breaker, 0)).collect();
    assert_eq!(opened, [false, false, false, false, true]);
    breaker
}

fn wait(breaker: &Breaker, ms: u64) -> Option<u64> {
    let refused = breaker.enter(at(ms)).expect_err("it is open");
    assert_eq!(breaker.check(at(ms)), Err(refused));
    refused.retry_after.map(|wait| wait.as_millis() as u64)
}

#[test]
fn only_faults_in_a_row_count() {
    let breaker = breaker();
    for round in 0..4 {
        (0..4).for_each(|_| assert!(!fail(&breaker, round * 60_000)));
        assert!(!succeed(&breaker, round * 60_000), "it was not open");
    }
    assert!(breaker.check(at(0)).is_ok());
}

#[test]
fn open_time_doubles_up_to_the_cap_and_starts_over_after_a_success() {
    let breaker = opened();
    let mut now = 0;
    for expected in [1, 2, 4, 8, 15, 15] {
        assert_eq!(wait(&breaker, now), Some(expected * 1_000));
        now += expected * 1_000;
        assert!(wait(&breaker, now - 1).is_some());
        assert!(fail(&breaker, now), "the probe failed");
    }
    now += 15_000;
    assert!(succeed(&breaker, now), "the probe closed it");
    (0..5).for_each(|_| _ = fail(&breaker, now));
    assert_eq!(wait(&breaker, now), Some(1_000));
}

#[test]
fn half_of_twenty_calls_within_the_window_open_it() {
    let breaker = breaker();
    for call in 0..19 {
        let opened =
            if call % 2 == 0 { fail(&breaker, call * 1_000) } else { succeed(&breaker, call * 1_000) };
        assert!(!opened);
    }
    assert!(fail(&breaker, 19_000), "the twentieth");
    assert!(breaker.check(at(19_000)).is_err());
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    let breaker = breaker();
    for call in 0..500 {
        let now = call * 2_000;
        assert!(!(if call % 2 == 0 { fail(&breaker, now) } else { succeed(&breaker, now) }), "15 in 30 s");
    }
}

/// A provider that is down for all of fifteen requests, each of which would try it three times.
#[test]
fn a_flapping_provider_is_not_called_45_times_for_15_requests() {
    let breaker = breaker();
    let mut calls = 0;
    for request in 0..15 {
        for retry in 0..3 {
            let now = at(request * 100 + retry);
            if let Ok(permit) = breaker.enter(now) {
                calls += 1;
                permit.failed(now);
            }
        }
    }
    assert_eq!(calls, 6, "five until it opened, and one probe after a second");
}

#[test]
fn a_flapping_provider_gets_one_call_per_open_period_however_many_requests_come() {
    let breaker = opened();
    let calls = (0..3_600_u64).flat_map(|second| [second * 1_000, second * 1_000 + 500]);
    let calls = calls
        .filter(|ms| breaker.enter(at(*ms)).is_ok_and(|permit| permit.failed(at(*ms)).is_some()))
        .count();
    assert!(calls <= 6 + 240, "an hour's 7,200 requests made {calls} calls");
}

#[test]
fn a_breaker_returns_within_the_cap_and_by_one_success() {
    let breaker = opened();
    let mut now = 0;
    for _ in 0..100 {
        now += wait(&breaker, now).expect("a time at which it will be asked");
        assert!(now <= 100 * 15_000);
        fail(&breaker, now);
    }
    let probe = breaker.enter(at(now + 15_000)).expect("its time is over");
    assert!(probe.is_probe() && probe.succeeded(at(now + 15_000)));
    for _ in 0..50 {
        assert!(!breaker.enter(at(now + 15_000)).expect("it is closed").is_probe());
    }
}

#[test]
fn one_probe_at_a_time_and_none_is_leaked_on_cancel() {
    let breaker = opened();
    for _ in 0..3 {
        let probe = breaker.enter(at(1_000)).expect("the probe");
        assert!(probe.is_probe());
        assert_eq!(wait(&breaker, 1_000), None, "nobody knows for how long");
        assert_eq!(wait(&breaker, 1_000_000), None);
        drop(probe);
    }
    assert!(succeed(&breaker, 1_000), "the next request took the probe over");
}

#[test]
fn a_late_result_changes_no_newer_state() {
    let breaker = breaker();
    let [late_success, late_failure, slow] = [0; 3].map(|_| breaker.enter(at(0)).expect("closed"));
    (0..5).for_each(|_| _ = fail(&breaker, 0));
    assert!(!late_success.succeeded(at(1)));
    assert_eq!(wait(&breaker, 1), Some(999), "a success of before does not close it");
    assert!(late_failure.failed(at(500)).is_none());
    assert_eq!(wait(&breaker, 500), Some(500), "fifty failures of before do not lengthen it");

    let probe = breaker.enter(at(1_000)).expect("the probe");
    drop(slow);
    assert_eq!(wait(&breaker, 1_000), None, "only its holder hands the probe back");
    assert!(probe.succeeded(at(1_000)));

    let old: Vec<_> = (0..9).map(|_| breaker.enter(at(1_000)).expect("closed")).collect();
    (0..5).for_each(|_| _ = fail(&breaker, 1_000));
    assert!(succeed(&breaker, 2_000), "closed again");
    assert!(!old.into_iter().any(|old| old.failed(at(2_000)).is_some()), "failures of before do not open it");
    assert!(breaker.check(at(2_000)).is_ok());
}

#[test]
fn a_disabled_breaker_never_opens() {
    let breaker = Breaker::new(BreakerPolicy::disabled());
    (0..1_000).for_each(|_| assert!(!fail(&breaker, 0)));
}

#[test]
fn absurd_policies_do_no_harm() {
    let policy = BreakerPolicy::new().consecutive(0).share(0, 0, Duration::ZERO);
    for policy in [policy, policy.share(101, 1, Duration::MAX).open_for(Duration::MAX, Duration::ZERO)] {
        let breaker = Breaker::new(policy);
        assert!(fail(&breaker, 0), "one fault opens it");
        assert!(breaker.enter(at(0)).is_err());
    }
}

#[test]
fn under_threads_one_probe_passes() {
    let breaker = opened();
    let passed: Vec<BreakerPermit> = std::thread::scope(|scope| {
        let ask = || (0..1_000).filter_map(|_| breaker.enter(at(1_000)).ok()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(passed.len(), 1);
}

#[test]
fn a_probe_that_took_long_keeps_it_open_as_long() {
    let breaker = opened();
    let probe = breaker.enter(at(1_000)).unwrap();
    assert_eq!(probe.failed(at(61_000)), Some(Duration::from_secs(60)));
    let probe = breaker.enter(at(121_000)).unwrap();
    assert_eq!(probe.failed(at(121_001)), Some(Duration::from_secs(4)));
}

proptest! {
    /// Whatever happens: never two probes, and once nothing is out a call passes within the longest open time or
    /// the time of the last probe.
    #[test]
    fn every_state_has_an_exit(steps in prop::collection::vec((0..5_000_u64, 0..4_u8, any::<prop::sample::Index>()), 0..200)) {
        let breaker = breaker();
        let mut out: Vec<BreakerPermit> = Vec::new();
        let mut now = 0;
        for (pause, action, which) in steps {
            now += pause;
            if action == 0 || out.is_empty() {
                out.extend(breaker.enter(at(now)));
            } else {
                let permit = out.swap_remove(which.index(out.len()));
                match action {
                    1 => drop(permit.succeeded(at(now))),
                    2 => drop(permit.failed(at(now))),
                    _ => drop(permit),
                }
            }
            let current = breaker.0.state().generation;
            let is_probe = |permit: &&BreakerPermit| permit.is_probe() && permit.generation == current;
            let probes = out.iter().filter(is_probe).count();
            let probing = breaker.0.state().opened.is_some_and(|opened| opened.probing);
            prop_assert_eq!(probes, usize::from(probing));
        }
        out.clear();
        prop_assert!(breaker.check(at(now + now + 15_000)).is_ok());
    }
}
