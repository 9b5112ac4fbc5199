//! The lengths of the periods that limits refer to.

use std::time::Duration;

/// The lengths of a simulated minute and day. Tests shorten them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Periods {
    /// Default: 60 s.
    pub(crate) minute: Duration,
    /// Default: 24 h.
    pub(crate) day: Duration,
    /// Whether the requests of a day come back one by one. Otherwise all come back when the day ends.
    pub(crate) rolling_days: bool,
}

// === impl Periods ===

impl Periods {
    /// Returns the length of a simulated second: a sixtieth of the minute.
    pub(crate) fn second(self) -> Duration {
        self.minute / 60
    }
}

impl Default for Periods {
    fn default() -> Self {
        Self { minute: Duration::from_secs(60), day: Duration::from_secs(86_400), rolling_days: false }
    }
}
