//! An error response as the rules see it: status, headers, error body, and the wait that it names.

use std::cell::OnceCell;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::classify::error_body::ErrorBody;
use crate::classify::{Fault, Reading, Reason, Scope, Verdict, hints};
use crate::clock::Timestamp;
use crate::text::find::contains;

/// An error response, parsed once.
#[derive(Debug)]
pub(crate) struct UpstreamResponse<'a> {
    /// Status of the response. For an error inside a 200, the status that the error claims, or the status
    /// that its type usually has.
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: ErrorBody,
    pub(crate) now: Timestamp,
    /// Time until the exhausted limit resets, and how precise that time is.
    pub(crate) reset: Option<Reset>,
    /// Offset from UTC, in hours, of times that the message states without a zone.
    pub(crate) utc_offset: i8,
    /// The meaning of the body, read when it is first needed.
    reading: OnceCell<Reading>,
    /// The wait that the body names, read when it is first needed.
    body_wait: OnceCell<Option<Duration>>,
}

/// Time until the exhausted limit resets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reset {
    /// Time until the next request may pass.
    Exact(Duration),
    /// Time until the bucket is full again, which is long after the next request may pass. Used only if the
    /// response names no better wait.
    AtMost(Duration),
}

/// JSON pointers to members that hold a number of seconds to wait.
const SECONDS: [&str; 9] = [
    "/error/metadata/retry_after_seconds_raw",
    "/error/metadata/retry_after_seconds",
    "/error/metadata/headers/Retry-After",
    "/error/retry_after",
    "/error/resets_in_seconds",
    "/retry_after",
    "/retry_after_seconds",
    "/resets_in_seconds",
    "/estimated_time",
];

/// JSON pointers to members that hold a point in Unix time.
const EPOCHS: [&str; 2] = ["/error/metadata/headers/X-RateLimit-Reset", "/error/resets_at"];

/// Words of a message about a response that did not come in time, or whose connection was lost.
const LOST: [&str; 13] = [
    "timed out",
    "timeout",
    "deadline exceeded",
    "deadline expired",
    "disconnected",
    "connection reset",
    "connection was reset",
    "connection closed",
    "connection was closed",
    "connection lost",
    "connection was lost",
    // Envoy, in the text of a 503.
    "connection termination",
    "remote reset",
];

impl<'a> UpstreamResponse<'a> {
    pub(crate) fn new(status: StatusCode, headers: &'a HeaderMap, body: &[u8], now: Timestamp) -> Self {
        let body = ErrorBody::parse(body);
        Self {
            status,
            headers,
            body,
            now,
            reset: None,
            utc_offset: 0,
            reading: OnceCell::new(),
            body_wait: OnceCell::new(),
        }
    }

    /// Returns the meaning of the body.
    pub(crate) fn reading(&self) -> &Reading {
        self.reading.get_or_init(|| Reading::of(&self.body))
    }

    /// Adds an error name that came in a header.
    pub(crate) fn add_name(&mut self, name: &str) {
        self.body.add_name(name);
        self.reading = OnceCell::new();
    }

    /// Returns a fault with the wait that this response names for it.
    pub(crate) fn fault(&self, reason: Reason, scope: Scope) -> Verdict {
        self.said(reason, scope).into()
    }

    /// Returns the fault that the response itself describes.
    pub(crate) fn said(&self, reason: Reason, scope: Scope) -> Fault {
        Fault::new(reason, scope)
            .with_may_have_run(may_have_run(self.status) || self.tells_of_lost_response(reason))
            .with_retry_after(self.wait_for(reason))
            .with_account_reason(self.names_account(reason))
    }

    /// Returns whether the response itself names a reason in the account or the key. A 402 always does: the
    /// status means that payment is required.
    ///
    /// A bare 401 or 403 does not, for the request itself can be its cause. A wrong guess costs attempts and
    /// never puts a key into a cooldown.
    fn names_account(&self, reason: Reason) -> bool {
        let is_of_keys = matches!(reason, Reason::InvalidKey | Reason::Forbidden | Reason::QuotaExceeded);
        is_of_keys && (self.status.as_u16() == 402 || self.reading().is_of_account())
    }

    /// Returns whether a fault of the provider is that a server behind it did not respond in time, or lost the
    /// connection. That server may have executed the request.
    fn tells_of_lost_response(&self, reason: Reason) -> bool {
        matches!(reason, Reason::ServerError | Reason::Overloaded)
            && (self.body.names().any(names_timeout) || LOST.iter().any(|words| self.body.says(words)))
    }

    /// Returns the first value of a header as trimmed text; `None` if it is absent or not ASCII.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// Returns the wait that applies to a fault with this reason.
    ///
    /// For an invalid or forbidden key only the headers count, not the sentences of the body: "try again
    /// after 2 minutes" there means *after you have fixed it*.
    pub(crate) fn wait_for(&self, reason: Reason) -> Option<Duration> {
        match reason {
            Reason::InvalidKey | Reason::Forbidden => hints::retry_after(self.headers, self.now),
            _ => self.wait(),
        }
    }

    /// Returns the wait named by the most reliable source.
    ///
    /// The order is: `retry-after` headers, an exact reset of the exhausted limit, the fields of the body,
    /// its sentences. A reset that is only an upper bound comes last.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let at_most = match self.reset {
            Some(Reset::AtMost(reset)) => Some(reset),
            Some(Reset::Exact(_)) | None => None,
        };
        self.stated_wait().or(at_most)
    }

    /// Returns the wait that the response states: [`wait`](Self::wait) without the upper bounds.
    pub(crate) fn stated_wait(&self) -> Option<Duration> {
        let exact = match self.reset {
            Some(Reset::Exact(reset)) => Some(reset),
            Some(Reset::AtMost(_)) | None => None,
        };
        hints::retry_after(self.headers, self.now).or(exact).or_else(|| self.body_wait())
    }

    /// Returns the wait that the body names, read once.
    pub(crate) fn body_wait(&self) -> Option<Duration> {
        *self.body_wait.get_or_init(|| self.read_body_wait())
    }

    fn read_body_wait(&self) -> Option<Duration> {
        let said = || hints::sentence(self.body.message(), self.now, self.utc_offset);
        if let Some(delay) = self.google_delay() {
            // `RetryInfo` drops the fraction of a second that the sentence still has.
            let exact = said().filter(|said| said.as_secs() == delay.as_secs());
            return Some(exact.map_or(delay, |said| said.max(delay)));
        }
        let number = |pointer: &&str| self.body.at(pointer).and_then(text_of);
        let seconds = SECONDS.iter().find_map(|at| hints::seconds(&number(at)?));
        let epoch = || EPOCHS.iter().find_map(|at| hints::epoch(number(at)?.parse().ok()?, self.now));
        let member = || hints::member(self.body.root(), self.now, self.utc_offset);
        seconds.or_else(epoch).or_else(member).or_else(said)
    }

    /// Returns `RetryInfo.retryDelay`, or else the `quotaResetDelay` of Code Assist.
    fn google_delay(&self) -> Option<Duration> {
        let details = self.body.at("/error/details")?.as_array()?;
        let read = |pointer: &str| {
            details.iter().find_map(|detail| hints::duration(detail.pointer(pointer)?.as_str()?))
        };
        read("/retryDelay").or_else(|| read("/metadata/quotaResetDelay"))
    }
}

/// Returns whether a request that got this status may have been executed.
///
/// That is so if a gateway in front of the provider stopped waiting for the response (408, 499, 504, 524), or
/// got one that it could not read (520,
/// <https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/error-520/>).
pub(crate) fn may_have_run(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 499 | 504 | 520 | 524)
}

/// Returns whether an error name tells of a timeout, as `request_timeout` and `ModelTimeoutException` do.
fn names_timeout(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["timeout", "timed_out", "deadline_exceeded"].iter().any(|word| contains(&name, word))
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
