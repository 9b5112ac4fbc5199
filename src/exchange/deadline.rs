//! When the caller stops waiting.

use tokio::time::Instant;

/// A request extension: when the answer is of no use any more.
///
/// Bounds everything the layers do for the request: attempts, back-off, looking into the answer. A request
/// that runs into it blames no key. The body of a success that was delivered is not bounded; that of an error
/// response is.
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
    /// The answer is needed before `instant`.
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// When the answer is of no use any more.
    pub const fn instant(self) -> Instant {
        self.0
    }
}

impl From<Instant> for Deadline {
    fn from(instant: Instant) -> Self {
        Self(instant)
    }
}
