//! Processes whose wall clocks differ, over one store.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::advance;

use crate::classify::{Fault, Reason, Scope};
use crate::clock::{Moment, WallOffset};
use crate::key::ApiKey;
use crate::limits::{Others, Quota};
use crate::pool::share::locked;
use crate::pool::{KeyPool, LimitSharing};
use crate::provider::{Provider, Window};

const MINUTE: Duration = Duration::from_secs(60);

/// Differences of a wall clock from the clock of the store, in milliseconds.
const SKEWS: [i64; 5] = [0, 180_000, -180_000, 3_600_000, -3_600_000];

/// Creates the pool of a process whose wall clock differs from the clock of the store.
fn pool(skew: i64, quotas: &[Quota]) -> KeyPool {
    let key = ApiKey::new("sk-one").unwrap().id("one");
    let builder = KeyPool::builder(Provider::openai()).key(key);
    let pool = quotas.iter().cloned().fold(builder, crate::pool::KeyPoolBuilder::quota).build().unwrap();
    let now = Moment::now().as_unix_ms();
    let mut clock = WallOffset::default();
    clock.follow_to(now, now.saturating_add_signed(skew));
    locked(&pool).clock = clock;
    pool.follow_store_clock(now);
    pool
}

/// Lets tokio's paused clock leave the clocks of the system, so that no pool follows them.
async fn leave_the_system() {
    Moment::now();
    advance(Duration::from_secs(10)).await;
}

/// Creates the pool of a process whose wall clock was set by `step` milliseconds since the clock of the store was read.
fn stepped(step: i64) -> KeyPool {
    let pool =
        KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one").unwrap().id("one")).build().unwrap();
    let now = Moment::now().as_unix_ms();
    pool.follow_store_clock(now);
    let before = now.saturating_add_signed(-step);
    let replica = &mut *locked(&pool);
    replica.clock.follow_to(now, before);
    replica.store_clock.get_or_insert_default().follow_to(before, now);
    pool.clone()
}

/// Passes the news of one process to another.
fn tell(from: &KeyPool, to: &KeyPool) {
    to.merge_stored(from.changed_registers());
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_lasts_as_long_in_each_process() {
    leave_the_system().await;
    for (here, there) in SKEWS.into_iter().flat_map(|here| SKEWS.map(|there| (here, there))) {
        let (one, two) = (pool(here, &[]), pool(there, &[]));
        let fault = Fault::new(Reason::QuotaExceeded, Scope::Key).with_retry_after(MINUTE);
        drop(one.acquire(()).unwrap().fail(&fault, None));
        tell(&one, &two);
        tell(&two, &one);
        assert_eq!((one.snapshot().keys[0].until, two.usable(None)), (two.snapshot().keys[0].until, 0));
        advance(Duration::from_secs(59)).await;
        tell(&two, &one);
        assert_eq!((one.usable(None), two.usable(None)), (0, 0), "{here} {there}");
        advance(Duration::from_secs(2)).await;
        tell(&one, &two);
        assert_eq!((one.usable(None), two.usable(None)), (1, 1), "{here} {there}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_changes_no_time_of_the_store() {
    for step in SKEWS {
        let (one, two) = (stepped(step), stepped(0));
        one.reset(&"one".into()).unwrap();
        drop(
            one.acquire(())
                .unwrap()
                .fail(&Fault::new(Reason::QuotaExceeded, Scope::Key).with_retry_after(MINUTE), None),
        );
        tell(&one, &two);
        one.resend();
        tell(&one, &two);
        tell(&two, &one);
        let until = [&one, &two].map(|pool| pool.snapshot().keys[0].until.unwrap().as_unix_ms());
        assert!(until[0].abs_diff(until[1]) <= 1_000, "{step}: {until:?}");
        assert_eq!((one.usable(None), two.usable(None)), (0, 0), "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sleep_of_the_machine_shortens_a_cooldown() {
    leave_the_system().await;
    let one = pool(0, &[]);
    drop(
        one.acquire(())
            .unwrap()
            .fail(&Fault::new(Reason::QuotaExceeded, Scope::Key).with_retry_after(60 * MINUTE), None),
    );
    let stored = one.changed_registers();
    let now = Moment::now().as_unix_ms();
    let two = pool(0, &[]);
    // The clock of the process stood still for half an hour.
    two.follow_store_clock(now + 1_800_000);
    two.merge_stored(stored);
    let until = two.snapshot().keys[0].until.unwrap().as_unix_ms();
    assert!(until.abs_diff(now + 1_800_000) <= 1_000, "{until} {now}");
}

#[tokio::test(start_paused = true)]
async fn the_last_order_of_an_operator_counts() {
    leave_the_system().await;
    for (here, there) in SKEWS.into_iter().flat_map(|here| SKEWS.map(|there| (here, there))) {
        let (one, two) = (pool(here, &[]), pool(there, &[]));
        one.disable(&"one".into()).unwrap();
        advance(Duration::from_secs(1)).await;
        two.enable(&"one".into()).unwrap();
        tell(&one, &two);
        tell(&two, &one);
        assert_eq!((one.usable(None), two.usable(None)), (1, 1), "{here} {there}");
        two.cool_down(&"one".into(), None, MINUTE).unwrap();
        tell(&two, &one);
        assert_eq!(one.snapshot().keys[0].until, two.snapshot().keys[0].until, "{here} {there}");
        advance(Duration::from_secs(1)).await;
        one.reset(&"one".into()).unwrap();
        tell(&one, &two);
        assert_eq!((one.usable(None), two.usable(None)), (1, 1), "{here} {there}");
    }
}

#[tokio::test(start_paused = true)]
async fn counts_are_added() {
    leave_the_system().await;
    let quotas = [
        Quota::requests(10).per_minute(),
        Quota::requests(10).per_day(),
        Quota::requests(10).per(Window::from_secs(600)).aligned(),
    ];
    for (quota, skew) in quotas.iter().flat_map(|quota| SKEWS.map(|skew| (quota, skew))) {
        let (one, two) = (pool(0, std::slice::from_ref(quota)), pool(skew, std::slice::from_ref(quota)));
        (0..4).for_each(|_| one.acquire(()).unwrap().succeed());
        tell(&one, &two);
        two.acquire(()).unwrap().succeed();
        tell(&two, &one);
        let left = [&one, &two].map(|pool| pool.snapshot().keys[0].limits[0].remaining);
        assert_eq!(left, [5, 5], "{quota:?} {skew}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_has_one_name_whatever_the_wall_clock_was_set_to() {
    leave_the_system().await;
    let quotas = [
        Quota::requests(10).per_day(),
        Quota::requests(10).per(Window::from_secs(600)).aligned(),
        Quota::requests(10).per_minute(),
    ];
    let names = |skew| -> Vec<_> {
        let pool = pool(skew, &quotas);
        let sharing = LimitSharing::begin(&pool);
        sharing.demands(&HashMap::new(), Others::Content).into_iter().map(|demand| demand.name).collect()
    };
    assert_eq!(names(0).len(), 3);
    for skew in [180_000, -180_000, 250_000, -250_000] {
        assert_eq!(names(skew), names(0), "{skew}");
    }
}
