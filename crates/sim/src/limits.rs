//! What a key or an account may use, and in how much time.

use std::time::Duration;

/// Limits of a key or of an account; without any, everything is allowed.
///
/// A limit is a token bucket that starts full, counted for each model on its own unless
/// [`all_models_together`](Self::all_models_together) is set. Refused calls are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub(super) requests_per_second: Option<u32>,
    pub(super) requests_per_minute: Option<u32>,
    pub(super) tokens_per_minute: Option<u32>,
    pub(super) requests_per_day: Option<u32>,
    pub(super) burst: Option<u32>,
    pub(super) together: bool,
}

/// How long simulated time lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) minute: Duration,
    pub(super) day: Duration,
    /// Whether a day's requests come back one by one, and not all at its end.
    pub(super) days_roll: bool,
}

// === impl Limits ===

impl Limits {
    /// No limits.
    pub const fn new() -> Self {
        Self {
            requests_per_second: None,
            requests_per_minute: None,
            tokens_per_minute: None,
            requests_per_day: None,
            burst: None,
            together: false,
        }
    }

    /// At most `requests` a second, a second being a sixtieth of the simulated minute.
    pub const fn requests_per_second(mut self, requests: u32) -> Self {
        self.requests_per_second = Some(requests);
        self
    }

    /// At most `requests` a minute.
    pub const fn requests_per_minute(mut self, requests: u32) -> Self {
        self.requests_per_minute = Some(requests);
        self
    }

    /// At most `tokens` a minute: those of the request (a quarter of its bytes) and of the answer.
    ///
    /// A request larger than the limit itself is refused in words that no wait can change.
    pub const fn tokens_per_minute(mut self, tokens: u32) -> Self {
        self.tokens_per_minute = Some(tokens);
        self
    }

    /// At most `requests` a day. OpenAI's day rolls: what was used comes back one by one, in a day all of
    /// it. Anybody else's starts a day after the first call; and every one of them when
    /// [`new_day`](super::Simulator::new_day) is called.
    pub const fn requests_per_day(mut self, requests: u32) -> Self {
        self.requests_per_day = Some(requests);
        self
    }

    /// How many requests may come at once; by default those of the whole second or minute.
    pub const fn burst(mut self, requests: u32) -> Self {
        self.burst = Some(requests);
        self
    }

    /// Counts all models together.
    pub const fn all_models_together(mut self) -> Self {
        self.together = true;
        self
    }
}

// === impl Pace ===

impl Pace {
    pub(super) fn second(self) -> Duration {
        self.minute / 60
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self { minute: Duration::from_secs(60), day: Duration::from_secs(86_400), days_roll: false }
    }
}
