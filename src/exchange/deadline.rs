//! The time at which the caller stops waiting.

use tokio::time::Instant;

/// A request extension with the time at which the caller stops waiting for the response.
///
/// The deadline bounds everything that the layers do for the request: attempts, back-off, waiting for a key, and
/// inspecting the response. A request that reaches its deadline fails without blaming a key. The body of a
/// delivered success is not bounded; the body of an error response is. Without this extension, and without a
/// deadline setting of the layer, a request has no deadline.
///
/// ```
/// use std::time::Duration;
/// use tokio::time::Instant;
/// use tower_key_rotation::Deadline;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Deadline::at(Instant::now() + Duration::from_secs(30)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// Creates a deadline at `instant`.
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// Returns the instant at which the caller stops waiting.
    pub const fn instant(self) -> Instant {
        self.0
    }
}

impl From<Instant> for Deadline {
    fn from(instant: Instant) -> Self {
        Self(instant)
    }
}
