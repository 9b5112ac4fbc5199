//! No usable key.

use std::time::Duration;

use tokio::time::Instant;

/// No key of the pool is usable now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no usable key{}", Advice(self))]
pub struct Exhausted {
    retry_after: Option<Duration>,
    probing: bool,
    wait: Wait,
}

/// Whether it is worth waiting for a key. Keys that are invalid or forbidden are not waited for, nor are keys
/// that the request may not use again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The time until the first key that was limited is usable again.
    pub(crate) limited: Option<Duration>,
    /// Another request is about to find out that a key that was limited is usable, or to make room at one.
    pub(crate) probing: bool,
}

struct Advice<'a>(&'a Exhausted);

impl Exhausted {
    pub(super) const fn new(retry_after: Option<Duration>, probing: bool, wait: Wait) -> Self {
        Self { retry_after, probing, wait }
    }

    pub(crate) const fn wait(&self) -> Wait {
        self.wait
    }

    /// Whether a key is usable now.
    pub(crate) fn is_over(&self) -> bool {
        self.wait.limited.is_some_and(|wait| wait.is_zero())
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

// === impl Wait ===

impl Wait {
    /// How long it takes at least; `None` if no time helps.
    pub(crate) fn at_least(self) -> Option<Duration> {
        if self.probing { Some(Duration::ZERO) } else { self.limited }
    }

    /// Whether it may be over by then.
    pub(crate) fn ends_by(self, until: Instant) -> bool {
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        left.is_some_and(|left| self.at_least().is_some_and(|wait| wait <= left))
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
