//! An upstream that refuses a request that comes too soon after the one before it on the same key.

#![allow(dead_code, reason = "no test uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;

/// The wait that refusals state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stated {
    /// The time that is left, in milliseconds.
    Truth,
    /// No wait.
    Nothing,
    /// The time that is left, rounded up to whole seconds.
    Seconds,
    /// The time that is left, rounded up to a multiple of this one.
    RoundedUpTo(Duration),
}

/// The limits that responses report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    Nothing,
    /// Successes report that 9,999 requests are left.
    Plenty,
    /// Refusals report the same.
    PlentyAlways,
}

/// A limit without a burst.
pub(crate) struct Strict {
    pub(crate) per_second: u32,
    /// Whether a refused request delays the next one, too.
    counts_refusals: bool,
    pub(crate) stated: Stated,
    pub(crate) reported: Reported,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    latest: HashMap<String, Instant>,
    calls: u64,
    refused: u64,
}

impl Strict {
    pub(crate) fn new(per_second: u32, stated: Stated, reported: Reported) -> Self {
        Self { per_second, counts_refusals: false, stated, reported, counts: Mutex::default() }
    }

    /// Lets refused requests delay the next one, too.
    pub(crate) fn counting_refusals(self) -> Self {
        Self { counts_refusals: true, ..self }
    }

    /// The number of calls, and how many of them were refused.
    pub(crate) fn calls(&self) -> (u64, u64) {
        let counts = self.counts.lock().unwrap();
        (counts.calls, counts.refused)
    }

    pub(crate) fn respond(&self, key: &str) -> Response<Full<Bytes>> {
        match self.admit(key) {
            None => self.response(StatusCode::OK, None, r#"{"choices":[]}"#),
            Some(left) => {
                let body = r#"{"error":{"message":"Too many requests.","code":"rate_limit_exceeded"}}"#;
                self.response(StatusCode::TOO_MANY_REQUESTS, Some(left), body)
            }
        }
    }

    /// Returns the time that is left, for a request that comes too soon.
    fn admit(&self, key: &str) -> Option<Duration> {
        let (now, apart) = (Instant::now(), Duration::from_secs(1) / self.per_second);
        let mut counts = self.counts.lock().unwrap();
        let latest = counts.latest.get(key).copied();
        let left = latest.map(|latest| (latest + apart).saturating_duration_since(now));
        let left = left.filter(|left| !left.is_zero());
        if left.is_none() || self.counts_refusals {
            counts.latest.insert(key.to_owned(), now);
        }
        counts.calls += 1;
        counts.refused += u64::from(left.is_some());
        if self.counts_refusals { left.map(|_| apart) } else { left }
    }

    fn response(&self, status: StatusCode, left: Option<Duration>, body: &str) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(body.to_owned()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert("content-type", "application/json".parse().unwrap());
        if let Some(left) = left {
            self.state_wait(left, headers);
        }
        if self.reported == Reported::PlentyAlways || (self.reported == Reported::Plenty && left.is_none()) {
            for (field, value) in [("limit", "10000"), ("remaining", "9999"), ("reset", "6ms")] {
                let name = format!("x-ratelimit-{field}-requests");
                headers.insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
            }
        }
        response
    }

    fn state_wait(&self, left: Duration, headers: &mut HeaderMap) {
        let mut insert = |name, value: u128| headers.insert(name, value.to_string().parse().unwrap());
        match self.stated {
            Stated::Nothing => None,
            Stated::Truth => insert("retry-after-ms", left.as_millis() + 1),
            Stated::Seconds => insert("retry-after", left.as_nanos().div_ceil(1_000_000_000)),
            Stated::RoundedUpTo(step) => {
                let steps = left.as_nanos().div_ceil(step.as_nanos());
                insert("retry-after-ms", steps * step.as_millis())
            }
        };
    }
}
