//! Durations as whole milliseconds.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// Returns the whole milliseconds, rounded down.
pub(super) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn ms<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    whole_ms(*time).serialize(serializer)
}

pub(super) fn maybe_ms<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(whole_ms).serialize(serializer)
}
