//! The shared limit detector: keys that are refused one after the other until about the same time.

#[path = "support/pool.rs"]
mod support;

use std::time::Duration;

use tower_key_rotation::classify::{Fault, Reason, Scope};

use self::support::*;

/// Returns whether a fourth key is held back after three were refused with these waits.
fn is_held_after(waits: [u64; 3]) -> bool {
    let pool = pool(&["a", "b", "c", "d"]);
    for wait in waits.map(Duration::from_millis) {
        let fault = Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(wait);
        lease(&pool).fail(&fault, None);
    }
    pool.acquire(None).is_err()
}

#[tokio::test(start_paused = true)]
async fn similar_waits_hold_a_fourth_key() {
    for (waits, expected) in [
        ([60_000, 60_000, 60_000], true),
        ([60_000, 57_000, 63_000], true),
        ([60_000, 66_600, 60_000], true),
        ([60_000, 67_000, 60_000], false),
        ([60_000, 40_000, 60_000], false),
        ([2_000, 2_240, 2_000], true),
        ([2_000, 2_300, 2_000], false),
    ] {
        assert_eq!(is_held_after(waits), expected, "{waits:?}");
    }
}
