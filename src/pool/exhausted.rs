//! No usable key.

use std::time::Duration;

use crate::clock::Timestamp;

/// No key of the pool is usable now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no usable key{}", Until(.retry_after))]
pub struct Exhausted {
    retry_after: Option<Duration>,
}

struct Until<'a>(&'a Option<Duration>);

impl Exhausted {
    pub(super) fn until(until: Option<u64>, now: Timestamp) -> Self {
        let wait = |until| Timestamp::from_unix_ms(until).saturating_since(now);
        Self { retry_after: until.map(wait) }
    }

    /// The true time until the first key becomes usable; `None` if none will by itself, or if that
    /// depends on a probe that is out.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl std::fmt::Display for Until<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(wait) => write!(f, " for {wait:?}: add keys, or try again then"),
            None => f.write_str(": replace, enable or reset the keys of the pool"),
        }
    }
}
