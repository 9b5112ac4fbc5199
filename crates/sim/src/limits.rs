//! The limits of a key or an account.

use std::time::Duration;

/// The limits of a simulated key or account. Without any, all calls are allowed.
///
/// Each limit is a token bucket that starts full. Every model is counted separately, unless
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

/// How long the periods of limits last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) minute: Duration,
    pub(super) day: Duration,
    /// Whether the requests of a day come back one by one. Otherwise all come back when the day ends.
    pub(super) days_roll: bool,
}

// === impl Limits ===

impl Limits {
    /// Creates an empty set of limits.
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

    /// Allows at most `requests` per second. A second is a sixtieth of the simulated
    /// [minute](super::SimBuilder::minute).
    pub const fn requests_per_second(mut self, requests: u32) -> Self {
        self.requests_per_second = Some(requests);
        self
    }

    /// Allows at most `requests` per simulated [minute](super::SimBuilder::minute).
    pub const fn requests_per_minute(mut self, requests: u32) -> Self {
        self.requests_per_minute = Some(requests);
        self
    }

    /// Allows at most `tokens` per simulated [minute](super::SimBuilder::minute), counted over requests and
    /// responses.
    ///
    /// A request counts as a quarter of its bytes, and a response as its words. A call that is larger than
    /// the whole limit is refused with an error that no wait can resolve
    /// ([`Refusal::LargerThanLimit`](super::Refusal::LargerThanLimit)).
    pub const fn tokens_per_minute(mut self, tokens: u32) -> Self {
        self.tokens_per_minute = Some(tokens);
        self
    }

    /// Allows at most `requests` per simulated [day](super::SimBuilder::day).
    ///
    /// OpenAI's day rolls: used requests come back one by one, all of them within a day. Every other
    /// provider's day starts with the first call and gives all requests back when it ends.
    /// [`new_day`](super::Simulator::new_day) gives all requests back at once.
    pub const fn requests_per_day(mut self, requests: u32) -> Self {
        self.requests_per_day = Some(requests);
        self
    }

    /// Sets how many requests may come at once, within the limits per second and per minute.
    ///
    /// Default: the requests of the whole second or minute.
    pub const fn burst(mut self, requests: u32) -> Self {
        self.burst = Some(requests);
        self
    }

    /// Counts the calls for all models together. Default: each model separately.
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
