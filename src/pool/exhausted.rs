//! No usable key.

use std::time::Duration;

use crate::clock::Moment;

/// No key of the pool is usable now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no usable key{}", Advice(self))]
pub struct Exhausted {
    retry_after: Option<Duration>,
    probing: bool,
}

struct Advice<'a>(&'a Exhausted);

impl Exhausted {
    /// `until` is in microseconds since the Unix epoch.
    pub(super) fn until(until: Option<u64>, probing: bool, now: Moment) -> Self {
        let wait = |until| Moment::from_unix_us(until).saturating_since(now);
        Self { retry_after: until.map(wait), probing }
    }

    /// The true time until the first key becomes usable; `None` if none will by itself, or if that
    /// depends on a probe that is out.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether a probe is out, whose success makes a key usable sooner; or a key has as many requests under way
    /// as it may, or as it takes when it has just recovered, and the end of one makes it usable.
    pub const fn is_probing(&self) -> bool {
        self.probing
    }
}

impl std::fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.retry_after, self.0.probing) {
            (Some(wait), false) => write!(f, " for {wait:?}: add keys, or try again then"),
            (Some(wait), true) => write!(f, " for {wait:?}, or until the probe that is out succeeds"),
            (None, true) => f.write_str(" until the probe that is out succeeds: try again in a moment"),
            (None, false) => f.write_str(": replace, enable or reset the keys of the pool"),
        }
    }
}
