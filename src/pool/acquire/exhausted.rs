//! The error of a pool without a usable key.

use std::time::Duration;

use tokio::time::Instant;

/// An error: no key of the pool is usable now.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::classify::{Fault, Reason, Scope};
/// use tower_key_rotation::{ApiKey, KeyPool, Provider};
///
/// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?.id("one")).build()?;
/// let wait = Duration::from_secs(20);
/// pool.acquire(())?.fail(&Fault::new(Reason::RateLimited, Scope::Key).with_retry_after(wait), None);
///
/// let exhausted = pool.acquire(()).unwrap_err();
/// assert!(exhausted.retry_after().is_some_and(|left| left <= wait));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no usable key{}", Advice(self))]
pub struct Exhausted {
    retry_after: Option<Duration>,
    probing: bool,
    wait: Wait,
    /// Whether some key may be used for the request at all.
    is_served: bool,
}

/// The wait for a key, if waiting may help. It ignores keys that are invalid or forbidden, and keys that the
/// request may not use again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The time until the first limited key is usable again.
    pub(crate) limited: Option<Duration>,
    /// Whether another request is about to show that a limited key is usable, or to make room at one.
    pub(crate) probing: bool,
}

struct Advice<'a>(&'a Exhausted);

impl Exhausted {
    pub(in crate::pool) const fn new(retry_after: Option<Duration>, probing: bool, wait: Wait) -> Self {
        Self { retry_after, probing, wait, is_served: true }
    }

    /// Creates the error of a request whose model or endpoint no key may be used for.
    pub(in crate::pool) const fn no_key_may_serve() -> Self {
        let wait = Wait { limited: None, probing: false };
        Self { retry_after: None, probing: false, wait, is_served: false }
    }

    pub(crate) const fn wait(&self) -> Wait {
        self.wait
    }

    /// Returns whether a key is usable now.
    pub(crate) fn is_over(&self) -> bool {
        self.wait.limited.is_some_and(|wait| wait.is_zero())
    }

    /// Returns the time until the first key becomes usable. Returns `None` if no key becomes usable by
    /// itself, or if that depends on a probe in flight.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns whether a key of the pool may be used for the request's model and endpoint. If none may, neither
    /// time nor a reset helps.
    pub const fn is_served(&self) -> bool {
        self.is_served
    }

    /// Returns whether a key may become usable sooner, because a request in flight ends. That request is a
    /// probe, or it takes the last place at a key with limited concurrency or in the slow start after a
    /// cooldown.
    pub const fn is_probing(&self) -> bool {
        self.probing
    }
}

// === impl Wait ===

impl Wait {
    /// Returns the minimum wait; `None` if no time helps.
    pub(crate) fn at_least(self) -> Option<Duration> {
        if self.probing { Some(Duration::ZERO) } else { self.limited }
    }

    /// Returns whether the wait may be over by `until`.
    pub(crate) fn ends_by(self, until: Instant) -> bool {
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        left.is_some_and(|left| self.at_least().is_some_and(|wait| wait <= left))
    }
}

impl std::fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.retry_after, self.0.probing) {
            _ if !self.0.is_served => {
                f.write_str(": none may be used for the model and endpoint, allow one to")
            }
            (Some(wait), false) => write!(f, " for {wait:?}: add keys, or try again then"),
            (Some(wait), true) => write!(f, " for {wait:?}, or until the probe that is out succeeds"),
            (None, true) => f.write_str(" until the probe that is out succeeds: try again in a moment"),
            (None, false) => f.write_str(": replace, enable or reset the keys of the pool"),
        }
    }
}
