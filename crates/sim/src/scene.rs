//! The data from which responses are made.

use std::fmt::{self, Display};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::clock::unix_ms;
use super::meter::{Gauge, Standing};
use super::request::Asked;

const WORDS: [&str; 9] = ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"];

pub(super) struct Scene<'a> {
    pub(super) asked: &'a Asked,
    pub(super) organization: &'a str,
    pub(super) standing: Standing,
    /// Number of the call.
    pub(super) serial: u64,
    pub(super) now: Instant,
    pub(super) words: usize,
}

/// A duration in Go's format, rounded up to the millisecond: `88ms`, `1.182s`, `6m0s`.
pub(super) struct GoDuration(pub(super) Duration);

// === impl Scene ===

impl Scene<'_> {
    pub(super) fn model(&self) -> &str {
        self.asked.model()
    }

    /// Returns an id in the provider's format. It differs from call to call.
    pub(super) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:024x}", self.serial)
    }

    pub(super) fn created(&self) -> u64 {
        unix_ms(self.now) / 1_000
    }

    pub(super) fn prompt_tokens(&self) -> u64 {
        self.asked.prompt_tokens
    }

    pub(super) fn completion_tokens(&self) -> u64 {
        self.words as u64
    }

    pub(super) fn total_tokens(&self) -> u64 {
        self.prompt_tokens() + self.completion_tokens()
    }

    /// Returns the words of the response, each with the blank before it.
    pub(super) fn pieces(&self) -> impl Iterator<Item = String> {
        let word = |at: usize| WORDS.get(at % WORDS.len()).copied().unwrap_or("word");
        (0..self.words).map(move |at| if at == 0 { word(at).to_owned() } else { format!(" {}", word(at)) })
    }

    pub(super) fn text(&self) -> String {
        self.pieces().collect()
    }

    /// Returns the gauge of requests. Headers show one even without a limit; the values are then made up.
    pub(super) fn requests(&self) -> Gauge {
        self.standing.requests.unwrap_or(Gauge {
            limit: 10_000,
            remaining: 9_999,
            full_in: Duration::from_millis(6),
        })
    }

    pub(super) fn tokens(&self) -> Gauge {
        self.standing.tokens.unwrap_or(Gauge {
            limit: 30_000_000,
            remaining: 29_999_000,
            full_in: Duration::from_millis(2),
        })
    }

    /// Returns the time `wait` from now as RFC 3339, in whole seconds, rounded up.
    pub(super) fn instant(&self, wait: Duration) -> String {
        let ms = unix_ms(self.now)
            .saturating_add(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
            .div_ceil(1_000)
            .saturating_mul(1_000);
        i64::try_from(ms)
            .ok()
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
            .unwrap_or(jiff::Timestamp::MAX)
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string()
    }
}

// === impl GoDuration ===

impl Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_nanos().div_ceil(1_000_000);
        let (minutes, seconds) = (ms / 60_000, (ms % 60_000) as f64 / 1_000.0);
        let (hours, minutes) = (minutes / 60, minutes % 60);
        match (hours, minutes) {
            (0, 0) if (1..1_000).contains(&ms) => write!(f, "{ms}ms"),
            (0, 0) => write!(f, "{seconds}s"),
            (0, _) => write!(f, "{minutes}m{seconds}s"),
            _ => write!(f, "{hours}h{minutes}m{seconds}s"),
        }
    }
}

/// Sets a header. An invalid value leaves the header out.
pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: impl Display) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Returns whole seconds, rounded up.
pub(super) fn whole_seconds(wait: Duration) -> u128 {
    wait.as_nanos().div_ceil(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_the_recorded_ones() {
        let table = [(0, "0s"), (88, "88ms"), (1_182, "1.182s"), (60_052, "1m0.052s"), (360_000, "6m0s")];
        for (ms, expected) in table {
            assert_eq!(GoDuration(Duration::from_millis(ms)).to_string(), expected);
        }
        assert_eq!(GoDuration(Duration::from_micros(87_001)).to_string(), "88ms");
        assert_eq!(GoDuration(Duration::from_secs(3_661)).to_string(), "1h1m1s");
    }
}
