//! Parsing of the limits that a response reports.
//!
//! Providers report limits in five families of headers, in messages and in bodies. All of them become a list
//! of [`Limit`]s, one for each dimension and window. Parsing is pure; the ledger that avoids a key before it
//! is refused is elsewhere.
//!
//! Pitfalls: sentinels (`-1`) that are no numbers, resets in the past that mean *full*, bare integers in
//! seconds or milliseconds, and windows that only the provider's documentation tells and not the header's
//! name.

mod headers;
mod messages;

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

pub(crate) use self::messages::stated;
use crate::classify::error_body::ErrorBody;
use crate::clock::Timestamp;
use crate::text::words;

/// One limit of a provider, as far as a response reports it. Returned by
/// [`Provider::limits`](crate::provider::Provider::limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limit {
    /// The thing that is counted.
    pub dimension: Dimension,
    /// Size of the limit per window, if reported.
    pub limit: Option<u64>,
    /// Remaining part of the limit, if reported.
    pub remaining: Option<u64>,
    /// Length of the window, if reported or documented.
    pub window: Option<Window>,
    /// Time until the window ends or the bucket is full again, if reported. Zero if it is full now.
    pub reset: Option<Duration>,
}

/// The thing that a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dimension {
    /// Requests, calls or queries.
    Requests,
    /// Tokens of prompt and response together.
    Tokens,
    /// Tokens of the prompt.
    InputTokens,
    /// Tokens of the response.
    OutputTokens,
    /// Images.
    Images,
    /// Pages processed by OCR.
    Pages,
}

/// The length of a limit's window, in whole seconds.
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

/// Windows of limit headers whose names do not contain them, from a provider's documentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// Window of `x-ratelimit-*-requests`.
    pub(crate) requests: Option<Window>,
    /// Window of `x-ratelimit-*-tokens`.
    pub(crate) tokens: Option<Window>,
    /// Window of `x-ratelimit-limit` without a dimension.
    pub(crate) bare: Option<Window>,
    /// Whether limit and reset tell the window of requests, because buckets refill evenly.
    pub(crate) even: bool,
}

// === impl Window ===

impl Window {
    /// A window of one second.
    pub const SECOND: Self = Self(1);
    /// A window of one minute.
    pub const MINUTE: Self = Self(60);
    /// A window of one hour.
    pub const HOUR: Self = Self(3_600);
    /// A window of one day.
    pub const DAY: Self = Self(86_400);
    /// A window of one month, which counts as thirty days.
    pub const MONTH: Self = Self(30 * 86_400);

    /// Creates a window of `seconds` seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Returns the length of the window.
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
    /// Returns whether the dimension counts tokens.
    pub(crate) const fn is_tokens(self) -> bool {
        matches!(self, Self::Tokens | Self::InputTokens | Self::OutputTokens)
    }
}

words!(Dimension {
    Requests => "requests",
    Tokens => "tokens",
    InputTokens => "input_tokens",
    OutputTokens => "output_tokens",
    Images => "images",
    Pages => "pages",
});

// === impl Limit ===

impl Limit {
    /// Creates a limit with no numbers known.
    pub const fn new(dimension: Dimension) -> Self {
        Self { dimension, limit: None, remaining: None, window: None, reset: None }
    }

    /// Returns whether nothing is left; `false` if the remaining part is not known.
    pub(crate) const fn is_exhausted(&self) -> bool {
        matches!(self.remaining, Some(0))
    }

    /// Returns whether a number is known. Some error responses report only a reset.
    pub(crate) const fn has_numbers(&self) -> bool {
        self.limit.is_some() || self.remaining.is_some()
    }
}

// === impl Windows ===

impl Windows {
    /// No documented windows.
    pub(crate) const UNKNOWN: Self = Self { requests: None, tokens: None, bare: None, even: false };

    /// One minute for every header, unless the header itself names another window.
    pub(crate) const MINUTE: Self = Self {
        requests: Some(Window::MINUTE),
        tokens: Some(Window::MINUTE),
        bare: Some(Window::MINUTE),
        even: false,
    };
}

/// Returns the limits that headers and body of a response report.
pub(super) fn reported(windows: Windows, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Vec<Limit> {
    let mut found = in_headers(windows, headers, now);
    found.retain(Limit::has_numbers);
    if !body.is_empty() {
        merge(&mut found, in_body(&ErrorBody::parse(body), now));
    }
    found
}

/// Returns the limits in headers.
pub(crate) fn in_headers(windows: Windows, headers: &HeaderMap, now: Timestamp) -> Vec<Limit> {
    headers::read(windows, headers, now)
}

/// Returns the limits in headers that a ledger can rely on. Allocates nothing if there are none.
pub(crate) fn telling(windows: Windows, headers: &HeaderMap, now: Timestamp) -> Vec<Limit> {
    headers::telling(windows, headers, now)
}

/// Returns the limits that a body names.
pub(crate) fn in_body(body: &ErrorBody, now: Timestamp) -> Vec<Limit> {
    messages::read(body, now)
}

/// Adds the limits that are not known yet: headers are exact, messages fill the gaps.
pub(crate) fn merge(limits: &mut Vec<Limit>, more: Vec<Limit>) {
    for limit in more {
        let known = |have: &Limit| have.dimension == limit.dimension && have.window == limit.window;
        if !limits.iter().any(known) {
            limits.push(limit);
        }
    }
}
