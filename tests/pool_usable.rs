//! The number of usable keys agrees with what a request finds.

#[path = "support/pool.rs"]
mod support;

use tokio::time::advance;
use tower_key_rotation::classify::{Fault, Reason, Scope};
use tower_key_rotation::limits::Quota;

use self::support::*;

#[tokio::test(start_paused = true)]
async fn keys_in_cooldown_are_not_usable() {
    let pool = pool(&["a", "b", "c", "d"]);
    assert_eq!(pool.usable(None), 4);
    fail(&pool, "a", &limit(MINUTE));
    fail(&pool, "b", &invalid());
    pool.disable(&id("c")).unwrap();
    assert_eq!(pool.usable(None), 1);
    advance(MINUTE).await;
    assert_eq!(pool.usable(None), 2, "a probe may begin");
    let probe = lease_of(&pool, "a", None);
    assert_eq!(pool.usable(None), 1, "a probe is out");
    probe.succeed();
    pool.enable(&id("c")).unwrap();
    assert_eq!(pool.usable(None), 3);
}

#[tokio::test(start_paused = true)]
async fn only_the_requested_model_counts() {
    let pool = pool(&["a", "b"]);
    let chat = model("chat");
    let fault = Fault::new(Reason::RateLimited, Scope::KeyModel).with_retry_after(MINUTE);
    lease_of(&pool, "a", Some(&chat)).fail(&fault, Some(&chat));
    let usable = [None, Some(&chat), Some(&model("other"))].map(|model| pool.usable(model));
    assert_eq!(usable, [2, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_key_without_room_in_its_limits_is_not_usable() {
    let keys = ["a", "b"].map(key);
    let pool = builder().keys(keys).quota(Quota::requests(1).per_minute()).build().unwrap();
    lease(&pool).succeed();
    assert_eq!(pool.usable(None), 1);
    lease(&pool).succeed();
    assert_eq!(pool.usable(None), 0);
    assert!(pool.acquire(None).is_err());
    advance(MINUTE).await;
    assert_eq!(pool.usable(None), 2);
}

#[tokio::test(start_paused = true)]
async fn keys_that_await_a_canary_are_not_usable() {
    let pool = pool(&["a", "b", "c", "d", "e"]);
    let fault = Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(SECOND * 30);
    for _ in 0..3 {
        lease(&pool).fail(&fault, None);
    }
    assert!(pool.acquire(None).is_err());
    assert_eq!(pool.usable(None), 0);
    advance(SECOND * 30).await;
    assert_eq!(pool.usable(None), 5, "any of them may be the trial");
}
