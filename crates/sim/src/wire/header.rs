//! Header values in the formats that providers use.

use std::fmt::{self, Display};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// A duration in Go's format, rounded up to the millisecond: `88ms`, `1.182s`, `6m0s`.
pub(super) struct GoDuration(pub(super) Duration);

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

/// Sets a header. An invalid value leaves the header as it is.
pub(super) fn insert_header(headers: &mut HeaderMap, name: &'static str, value: impl Display) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Returns whole seconds, rounded up, as in `retry-after`.
pub(super) fn seconds_rounded_up(wait: Duration) -> u128 {
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
