//! The settings of the limits of a key or an account.

/// The limits of a simulated key or account. Without any, all calls are allowed.
///
/// Each limit is a token bucket that starts full, except the [day](Self::requests_per_day) of Anthropic and
/// Gemini. A call must fit into every limit. Every model is counted separately, unless
/// [`all_models_together`](Self::all_models_together) is set. Refused calls are not counted.
///
/// A limit of 0 per second or minute allows one request (or token) and never refills.
///
/// ```
/// use tower_key_rotation_sim::{Limits, SimAccount, SimKey, Simulator};
///
/// let own = Limits::new().requests_per_minute(60).burst(5).tokens_per_minute(100_000);
/// let shared = Limits::new().requests_per_day(10_000).all_models_together();
/// let sim = Simulator::openai()
///     .account(SimAccount::new("org").limits(shared))
///     .key(SimKey::new("a", "sk-a").account("org").limits(own))
///     .build();
///
/// let left = sim.key("a").headroom("gpt-4o");
/// assert_eq!((left.requests, left.tokens), (Some(5.0), Some(100_000.0)));
/// assert_eq!(sim.account("org").headroom("gpt-4o").requests, Some(10_000.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub(super) requests_per_second: Option<u32>,
    pub(super) requests_per_minute: Option<u32>,
    pub(super) tokens_per_minute: Option<u32>,
    pub(super) requests_per_day: Option<u32>,
    pub(super) burst: Option<u32>,
    pub(super) all_models_together: bool,
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
            all_models_together: false,
        }
    }

    /// Allows at most `requests` per second. Default: no limit.
    ///
    /// A second is a sixtieth of the simulated [minute](crate::SimBuilder::minute).
    pub const fn requests_per_second(mut self, requests: u32) -> Self {
        self.requests_per_second = Some(requests);
        self
    }

    /// Allows at most `requests` per simulated [minute](crate::SimBuilder::minute). Default: no limit.
    pub const fn requests_per_minute(mut self, requests: u32) -> Self {
        self.requests_per_minute = Some(requests);
        self
    }

    /// Allows at most `tokens` per simulated [minute](crate::SimBuilder::minute), counted over requests and
    /// responses. Default: no limit.
    ///
    /// A request counts as a quarter of its bytes, at least 1, and a response as its
    /// [words](crate::SimBuilder::words). A call that is larger than the whole limit is refused with an error
    /// that no wait can resolve ([`Refusal::LargerThanLimit`](crate::Refusal::LargerThanLimit)).
    pub const fn tokens_per_minute(mut self, tokens: u32) -> Self {
        self.tokens_per_minute = Some(tokens);
        self
    }

    /// Allows at most `requests` per simulated [day](crate::SimBuilder::day). Default: no limit.
    ///
    /// OpenAI's day rolls: used requests come back one by one, all of them within a day. The days of
    /// Anthropic and Gemini start with the first call to the model and return all requests when they end.
    /// [`new_day`](crate::Simulator::new_day) returns all requests at once.
    pub const fn requests_per_day(mut self, requests: u32) -> Self {
        self.requests_per_day = Some(requests);
        self
    }

    /// Sets the number of requests that may come at once, within the limits per second and per minute.
    ///
    /// Default: the requests of the whole second or minute. A burst of 0 counts as 1.
    pub const fn burst(mut self, requests: u32) -> Self {
        self.burst = Some(requests);
        self
    }

    /// Counts the calls for all models together. Default: each model separately.
    ///
    /// A model with [limits of its own](crate::SimKey::model_limits) stays counted separately.
    pub const fn all_models_together(mut self) -> Self {
        self.all_models_together = true;
        self
    }
}
