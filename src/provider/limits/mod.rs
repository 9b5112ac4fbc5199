//! What an answer says about quotas.
//!
//! Providers report limits in five families of headers, in messages and in bodies. All become a list of
//! [`Limit`]s, one for each dimension and window. Reading is pure; what is done with it (a ledger that
//! avoids a key before it is refused) is somebody else's business.
//!
//! Traps that live here: sentinels (`-1`) that are no numbers, resets that lie in the past and mean
//! *full*, bare integers in seconds or milliseconds, and windows that a header's name does not tell
//! because the provider's documentation does.

mod headers;
mod messages;

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

pub(crate) use self::messages::stated;
use crate::classify::error_body::ErrorBody;
use crate::clock::Timestamp;

/// One quota, as far as an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limit {
    /// What is counted.
    pub dimension: Dimension,
    /// How much of it a window has.
    pub limit: Option<u64>,
    /// How much is left.
    pub remaining: Option<u64>,
    /// How long the window is.
    pub window: Option<Window>,
    /// The time until the window is over or the bucket full again; zero if it is full now.
    pub reset: Option<Duration>,
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dimension {
    /// Requests, calls, queries.
    Requests,
    /// Tokens of prompt and answer together.
    Tokens,
    /// Tokens of the prompt.
    InputTokens,
    /// Tokens of the answer.
    OutputTokens,
    /// Images.
    Images,
    /// Pages read by OCR.
    Pages,
}

/// The length of a quota's window.
///
/// ```
/// use tower_key_rotation::provider::Window;
///
/// assert_eq!(Window::DAY.to_string(), "day");
/// assert_eq!(Window::from_secs(10).to_string(), "10s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Window(u64);

/// What a provider's documentation says of headers whose names do not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// Of `x-ratelimit-*-requests`.
    pub(crate) requests: Option<Window>,
    /// Of `x-ratelimit-*-tokens`.
    pub(crate) tokens: Option<Window>,
    /// Of `x-ratelimit-limit` without a dimension.
    pub(crate) bare: Option<Window>,
    /// Whether the requests' window can be told from limit and reset, because buckets refill evenly.
    pub(crate) even: bool,
}

// === impl Window ===

impl Window {
    /// A second.
    pub const SECOND: Self = Self(1);
    /// A minute.
    pub const MINUTE: Self = Self(60);
    /// An hour.
    pub const HOUR: Self = Self(3_600);
    /// A day.
    pub const DAY: Self = Self(86_400);
    /// A month, taken as thirty days.
    pub const MONTH: Self = Self(30 * 86_400);

    /// A window of so many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Its length.
    pub const fn length(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SECOND => f.write_str("second"),
            Self::MINUTE => f.write_str("minute"),
            Self::HOUR => f.write_str("hour"),
            Self::DAY => f.write_str("day"),
            Self::MONTH => f.write_str("month"),
            Self(seconds) => write!(f, "{seconds}s"),
        }
    }
}

// === impl Dimension ===

impl Dimension {
    /// Whether tokens are counted.
    pub(crate) const fn is_tokens(self) -> bool {
        matches!(self, Self::Tokens | Self::InputTokens | Self::OutputTokens)
    }

    /// The name in logs and snapshots.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Images => "images",
            Self::Pages => "pages",
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Limit ===

impl Limit {
    /// A quota of which nothing is known yet.
    pub const fn new(dimension: Dimension) -> Self {
        Self { dimension, limit: None, remaining: None, window: None, reset: None }
    }

    /// Whether nothing is left.
    pub const fn is_exhausted(&self) -> bool {
        matches!(self.remaining, Some(0))
    }

    /// Whether a number is known; some refusals only say when something resets.
    pub(crate) const fn has_numbers(&self) -> bool {
        self.limit.is_some() || self.remaining.is_some()
    }
}

// === impl Windows ===

impl Windows {
    /// Nothing is documented.
    pub(crate) const UNKNOWN: Self = Self { requests: None, tokens: None, bare: None, even: false };

    /// Per minute unless a header says otherwise.
    pub(crate) const MINUTE: Self = Self {
        requests: Some(Window::MINUTE),
        tokens: Some(Window::MINUTE),
        bare: Some(Window::MINUTE),
        even: false,
    };
}

/// The quotas in headers, without a look at the body.
pub(crate) fn in_headers(windows: Windows, headers: &HeaderMap, now: Timestamp) -> Vec<Limit> {
    headers::read(windows, headers, now)
}

/// The quotas in headers that can be relied on; nothing is allocated if there are none.
pub(crate) fn telling(windows: Windows, headers: &HeaderMap, now: Timestamp) -> Vec<Limit> {
    headers::telling(windows, headers, now)
}

/// The quotas that a body names.
pub(crate) fn in_body(body: &ErrorBody, now: Timestamp) -> Vec<Limit> {
    messages::read(body, now)
}

/// Adds what is not known yet: headers are exact, messages fill the gaps.
pub(crate) fn merge(limits: &mut Vec<Limit>, more: Vec<Limit>) {
    for limit in more {
        let known = |have: &Limit| have.dimension == limit.dimension && have.window == limit.window;
        if !limits.iter().any(known) {
            limits.push(limit);
        }
    }
}
