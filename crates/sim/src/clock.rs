//! Wall-clock times derived from tokio's clock.
//!
//! Tests pause and advance tokio's clock, so the simulator derives the times that it states from it. The two
//! clocks are read together once; a step of the wall clock after that changes nothing.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// An instant of tokio's clock, and the time from the Unix epoch to it.
static ANCHOR: OnceLock<(Instant, Duration)> = OnceLock::new();

/// Returns the milliseconds from the Unix epoch to `instant`; zero for an instant before the epoch.
pub(crate) fn unix_ms(instant: Instant) -> u64 {
    let (anchor, since_epoch) = *ANCHOR.get_or_init(read);
    let at = match instant.checked_duration_since(anchor) {
        Some(after) => since_epoch.saturating_add(after),
        None => since_epoch.saturating_sub(anchor.saturating_duration_since(instant)),
    };
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a paused clock of tokio's may be ahead of the wall clock"
)]
fn read() -> (Instant, Duration) {
    let now = Instant::from_std(std::time::Instant::now());
    (now, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
