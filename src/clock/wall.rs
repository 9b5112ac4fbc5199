//! The wall clock, for times that other processes or later runs read.
//!
//! Timestamps follow a clock that never steps. While the machine sleeps that clock may stand still, and an
//! operator may set the wall clock. So the two drift apart, and times that leave the process are converted to
//! the wall clock of that moment.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::clock::Timestamp;

/// The distance of the wall clock from the clock of timestamps, in milliseconds.
///
/// It changes only when the two are more than a second apart from the distance so far. Otherwise the
/// rounding of each reading would change every time that is converted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WallOffset(i64);

/// Differences up to this are rounding, or slow corrections of the wall clock: 1 s.
const STEP_MS: u64 = 1_000;

// === impl WallOffset ===

impl WallOffset {
    /// Reads the clocks, and follows a step of the wall clock or a sleep of the machine. On tokio's paused
    /// clock there is no wall clock, so the offset stays.
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "compares the clocks of the system"
    )]
    pub(crate) fn follow(&mut self) {
        let (ours, system) = (Instant::now(), std::time::Instant::now());
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis);
        let apart = ours.into_std().saturating_duration_since(system);
        let apart = apart.max(system.saturating_duration_since(ours.into_std()));
        if apart <= Duration::from_millis(STEP_MS) {
            self.follow_to(Timestamp::from(ours).as_unix_ms(), wall);
        }
    }

    /// Follows a reading of both clocks, in milliseconds since the Unix epoch.
    pub(crate) fn follow_to(&mut self, ours: u64, wall: u64) {
        let measured = wall.cast_signed().wrapping_sub(ours.cast_signed());
        if measured.abs_diff(self.0) > STEP_MS {
            self.0 = measured;
        }
    }

    /// Returns the time of the wall clock for a timestamp, both in milliseconds since the Unix epoch.
    pub(crate) const fn to_wall(self, ms: u64) -> u64 {
        ms.saturating_add_signed(self.0)
    }

    /// Returns the timestamp for a time of the wall clock, both in milliseconds since the Unix epoch.
    pub(crate) const fn local(self, ms: u64) -> u64 {
        ms.saturating_add_signed(self.0.saturating_neg())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_step_or_a_sleep_changes_the_offset() {
        let mut offset = WallOffset::default();
        offset.follow_to(10_000, 10_900);
        assert_eq!(offset.to_wall(10_000), 10_000, "rounding");
        // Eight hours of sleep.
        offset.follow_to(20_000, 28_820_000);
        assert_eq!((offset.to_wall(20_000), offset.local(28_820_000)), (28_820_000, 20_000));
        // The wall clock is set back by a day, to before the timestamps.
        offset.follow_to(100_000_000, 42_420_000);
        assert_eq!(offset.local(offset.to_wall(99_000_000)), 99_000_000);
    }

    #[test]
    fn absurd_times_saturate() {
        let mut offset = WallOffset::default();
        offset.follow_to(0, u64::MAX);
        let _ = (offset.to_wall(u64::MAX), offset.local(0), offset.local(u64::MAX));
        offset.follow_to(u64::MAX, 0);
        let _ = (offset.to_wall(0), offset.local(u64::MAX));
    }
}
