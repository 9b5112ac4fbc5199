//! The limits for inspecting responses.

use std::time::Duration;

use http::StatusCode;

/// Limits for inspecting responses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) error_body: usize,
    pub(crate) peek_bytes: usize,
    pub(crate) peek_events: usize,
    pub(crate) peek_time: Duration,
    /// Whether a stream without content within `peek_time` has failed, whatever else it sends. Otherwise each of
    /// the three `peek` caps commits to the stream.
    pub(crate) late_is_fault: bool,
}

impl Limits {
    /// Maximum time for reading the body of an error response (10 s). A limit for the first content may be
    /// minutes, and no other key should wait that long.
    const REFUSAL_TIME: Duration = Duration::from_secs(10);

    /// Maximum number of bytes of a stream without content that are kept (8 MiB).
    pub(crate) const MOST_PREAMBLE: usize = 8 * 1024 * 1024;

    /// The defaults of both layers.
    pub(crate) const DEFAULT: Self = Self {
        error_body: 64 * 1024,
        peek_bytes: 64 * 1024,
        peek_events: 200,
        peek_time: Duration::from_secs(10),
        late_is_fault: false,
    };

    /// Sets the time limit for the first content.
    pub(crate) const fn set_first_content(&mut self, limit: Duration) {
        self.peek_time = limit;
        self.late_is_fault = true;
    }

    /// Returns the time limit for inspecting a response with this status.
    pub(crate) fn time_for(&self, status: StatusCode) -> Duration {
        if status.is_success() { self.peek_time } else { self.peek_time.min(Self::REFUSAL_TIME) }
    }
}
