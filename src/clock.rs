//! Points in time as single numbers: milliseconds since the Unix epoch.
//!
//! Cooldowns are kept in atomic words, are passed between processes, and are compared with wall-clock hints
//! such as `Retry-After: Wed, 21 Oct 2026 07:28:00 GMT`. All three work with milliseconds since the Unix
//! epoch in a `u64`.
//!
//! Time is taken from tokio's clock, so that tests can pause it. The wall clock is read once in the life of
//! the process, to anchor tokio's clock to the epoch. A step of the wall clock after that moves no cooldown.
//!
//! # Wrong wall clocks
//!
//! A wall clock before 1970 counts as 1970. Cooldowns work then, but a wait that a provider states as a date
//! is too long, up to the caps in [`Cooldowns`](crate::pool::Cooldowns). (Servers may not even start: the
//! `date` header of hyper 1.x panics before 1970.)
//!
//! Cooldowns end in May 2109 at the latest, where their 42 bits of milliseconds end. If the wall clock is
//! later than that, keys are not held back at all.

mod latency;
mod wall;

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub(crate) use crate::clock::latency::LatencyEstimate;
pub(crate) use crate::clock::wall::WallOffset;

/// A point in time: milliseconds since the Unix epoch.
///
/// All arithmetic saturates: no header value, however absurd, makes it panic.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::clock::Timestamp;
///
/// let start = Timestamp::from_unix_ms(1_000);
/// let end = start.saturating_add(Duration::from_secs(2));
/// assert_eq!(end.as_unix_ms(), 3_000);
/// assert_eq!(end.saturating_since(start), Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

/// A point in time with a finer unit: microseconds since the Unix epoch, by the same clock as [`Timestamp`].
/// It serves limits that refill faster than once a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

struct Anchor {
    instant: Instant,
    unix_ms: u64,
}

static ANCHOR: OnceLock<Anchor> = OnceLock::new();

// === impl Timestamp ===

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// The latest timestamp, used as the end of what does not end by itself.
    pub const NEVER: Self = Self(u64::MAX);

    /// Returns the current time of tokio's clock.
    ///
    /// This costs one read of the clock: call it once per attempt and pass the result on.
    pub fn now() -> Self {
        Self::from(Instant::now())
    }

    /// Creates a timestamp from milliseconds since the Unix epoch.
    pub const fn from_unix_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn as_unix_ms(self) -> u64 {
        self.0
    }

    /// Returns the time from `earlier` to `self`. Zero if `self` is not later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns the timestamp `wait` after `self`, rounded up to the millisecond so that it is never early.
    pub fn saturating_add(self, wait: Duration) -> Self {
        let ms = wait.as_nanos().div_ceil(1_000_000);
        Self(self.0.saturating_add(u64::try_from(ms).unwrap_or(u64::MAX)))
    }
}

impl From<Instant> for Timestamp {
    fn from(instant: Instant) -> Self {
        let anchor = ANCHOR.get_or_init(Anchor::here);
        let unix_ms = match instant.checked_duration_since(anchor.instant) {
            Some(after) => anchor.unix_ms.saturating_add(whole_ms(after)),
            None => {
                let before = anchor.instant.saturating_duration_since(instant);
                // Rounds the timestamp down, like the branch above, so that spans across the anchor are
                // exact.
                let ms = before.as_nanos().div_ceil(1_000_000);
                anchor.unix_ms.saturating_sub(u64::try_from(ms).unwrap_or(u64::MAX))
            }
        };
        Self(unix_ms)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, whole_ms))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NEVER => f.write_str("Timestamp(never)"),
            Self(ms) => write!(f, "Timestamp({ms} ms)"),
        }
    }
}

// === impl Moment ===

impl Moment {
    pub(crate) fn now() -> Self {
        Self::from(Instant::now())
    }

    pub(crate) const fn from_unix_us(us: u64) -> Self {
        Self(us)
    }

    pub(crate) const fn as_unix_us(self) -> u64 {
        self.0
    }

    pub(crate) const fn as_unix_ms(self) -> u64 {
        self.0 / US_PER_MS
    }

    /// Returns a moment in the millisecond `unix_ms` of the Unix epoch, with the microseconds of `self`. It
    /// is as far from `self` as the two milliseconds are from each other.
    pub(crate) const fn in_ms(self, unix_ms: u64) -> Self {
        Self(unix_ms.saturating_mul(US_PER_MS).saturating_add(self.0 % US_PER_MS))
    }

    /// Returns the time from `earlier` to `self`. Zero if `self` is not later.
    pub(crate) const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Returns the moment `wait` after `self`, rounded up so that it is never early.
    pub(crate) fn saturating_add(self, wait: Duration) -> Self {
        let us = wait.as_nanos().div_ceil(1_000);
        Self(self.0.saturating_add(u64::try_from(us).unwrap_or(u64::MAX)))
    }
}

const US_PER_MS: u64 = 1_000;

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Self {
        let anchor = ANCHOR.get_or_init(Anchor::here);
        let anchored = anchor.unix_ms.saturating_mul(US_PER_MS);
        Self(match instant.checked_duration_since(anchor.instant) {
            Some(after) => anchored.saturating_add(whole_us(after)),
            None => {
                let before = anchor.instant.saturating_duration_since(instant);
                let us = before.as_nanos().div_ceil(1_000);
                anchored.saturating_sub(u64::try_from(us).unwrap_or(u64::MAX))
            }
        })
    }
}

impl From<Moment> for Instant {
    fn from(moment: Moment) -> Self {
        let anchor = ANCHOR.get_or_init(Anchor::here);
        let anchored = anchor.unix_ms.saturating_mul(US_PER_MS);
        let at = match moment.0.checked_sub(anchored) {
            Some(after) => anchor.instant.checked_add(Duration::from_micros(after)),
            None => anchor.instant.checked_sub(Duration::from_micros(anchored - moment.0)),
        };
        at.unwrap_or(anchor.instant)
    }
}

impl From<Timestamp> for Moment {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.0.saturating_mul(US_PER_MS))
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        Self(moment.as_unix_ms())
    }
}

// === impl Anchor ===

impl Anchor {
    /// Reads the two clocks of the system. Tokio's clock may be paused and ahead of them, so it is not used
    /// here.
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "the one reading of the wall clock"
    )]
    fn here() -> Self {
        let instant = Instant::from_std(std::time::Instant::now());
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Self { instant, unix_ms: wall.map_or(0, whole_ms) }
    }
}

// Without the 128 bits of `Duration::as_millis`, because each request converts several times.

fn whole_ms(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000).saturating_add(u64::from(duration.subsec_millis()))
}

fn whole_us(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(duration.subsec_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_rounded_down() {
        let start = Timestamp::from_unix_ms(1_000);
        let wait = Duration::from_micros(1_500);
        assert_eq!(start.saturating_add(wait).as_unix_ms(), 1_002);
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::EPOCH.saturating_add(Duration::MAX), Timestamp::NEVER);
        assert_eq!(Timestamp::EPOCH.saturating_since(Timestamp::NEVER), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_is_a_second_across_the_anchor() {
        Timestamp::now();
        let anchor = ANCHOR.get().unwrap().instant;
        for micros in (0..3_000).step_by(125) {
            let early = anchor - Duration::from_millis(2) + Duration::from_micros(micros);
            let late = early + Duration::from_secs(1);
            let passed = Timestamp::from(late).saturating_since(Timestamp::from(early));
            assert_eq!(passed, Duration::from_secs(1), "{micros}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_is_the_instant_that_it_was_made_of_to_the_microsecond() {
        Timestamp::now();
        let anchor = ANCHOR.get().unwrap().instant;
        let microsecond = Duration::from_micros(1);
        for nanos in (0..4_000_000).step_by(123_457) {
            let instant = anchor - Duration::from_millis(2) + Duration::from_nanos(nanos);
            let again = Instant::from(Moment::from(instant));
            assert!(again <= instant && instant - again <= microsecond, "{nanos}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn follows_the_paused_clock() {
        let before = Timestamp::now();
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(Timestamp::now().saturating_since(before), Duration::from_secs(90));
    }
}
