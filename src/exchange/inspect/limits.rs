//! How far responses are looked into.

use std::time::Duration;

use http::StatusCode;

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Whether event streams are looked into at all.
    pub(crate) look_into_streams: bool,
    pub(crate) error_body: usize,
    pub(crate) peek_bytes: usize,
    pub(crate) peek_events: usize,
    pub(crate) peek_time: Duration,
    /// Whether a stream that says nothing in that time has failed, whatever else it sends; if not, each of the three
    /// caps commits to it.
    pub(crate) late_is_fault: bool,
}

impl Limits {
    /// How long the body of a refusal is read at most (10 s). A limit for the first content may be minutes, for
    /// which no other key waits.
    const REFUSAL_TIME: Duration = Duration::from_secs(10);

    /// How much of a stream without content is kept (8 MiB).
    pub(crate) const MOST_PREAMBLE: usize = 8 * 1024 * 1024;

    /// The defaults of both layers.
    pub(crate) const DEFAULT: Self = Self {
        look_into_streams: true,
        error_body: 64 * 1024,
        peek_bytes: 64 * 1024,
        peek_events: 200,
        peek_time: Duration::from_secs(10),
        late_is_fault: false,
    };

    /// How long to look into a response.
    pub(crate) fn time_for(&self, status: StatusCode) -> Duration {
        if status.is_success() { self.peek_time } else { self.peek_time.min(Self::REFUSAL_TIME) }
    }
}
