//! The estimated tokens of a response that does not report them.
//!
//! Chat streams of OpenAI report their tokens on demand only, and a caller that leaves before the end never gets the report.
//! Limits of tokens hold all the same. A rule of thumb is enough: what a response reports is exact, and counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use tower_key_rotation::body::Usage;
use tower_key_rotation::provider::Endpoint;

/// Bytes per token (4), typical for English text and its JSON.
const BYTES_PER_TOKEN: u64 = 4;

/// Bytes of an event around its text (384), at most.
const ENVELOPE: u64 = 384;

/// The tokens of one request, as far as its bytes show.
#[derive(Default)]
pub(crate) struct Estimate {
    /// Number of bytes of the request.
    sent: Arc<AtomicU64>,
    is_success: bool,
    is_stream: bool,
    has_ended: bool,
    bytes: u64,
    /// Number of lines with text, of which an event has at least one.
    lines: u64,
    last: u8,
}

// === impl Estimate ===

impl Estimate {
    /// Creates the estimate of a request for this path. `None` if its response is no text of a model.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let is_text = matches!(
            Endpoint::of_path(path),
            Endpoint::Chat
                | Endpoint::Completions
                | Endpoint::Responses
                | Endpoint::Messages
                | Endpoint::GenerateContent
        );
        is_text.then(Self::default)
    }

    /// Returns the number of bytes of the request, to be counted.
    pub(crate) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    /// Begins the response.
    pub(crate) fn begin(&mut self, status: StatusCode, headers: &HeaderMap) {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        self.is_stream = kind.to_ascii_lowercase().starts_with("text/event-stream");
        self.is_success = status.is_success();
    }

    /// Counts data of the response.
    pub(crate) fn see(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        for byte in data.iter().filter(|byte| self.is_stream && **byte != b'\r') {
            self.lines += u64::from(*byte == b'\n' && self.last != b'\n');
            self.last = *byte;
        }
    }

    /// Notes that the response has come to its end.
    pub(crate) const fn end(&mut self) {
        self.has_ended = true;
    }

    /// Returns the tokens of the request and of its response: those that the response reports, and estimates in place of the
    /// others. A report that comes before the end is not the last one.
    pub(crate) fn tokens(&self, usage: Option<Usage>) -> (u64, u64) {
        let (input, output) = usage.map_or((None, None), |usage| (usage.input_tokens, usage.output_tokens));
        if !self.is_success {
            return (input.unwrap_or(0), output.unwrap_or(0));
        }
        let input = input.unwrap_or_else(|| self.sent.load(Ordering::Relaxed).div_ceil(BYTES_PER_TOKEN));
        let output = match output {
            Some(output) if self.has_ended => output,
            output => output.unwrap_or(0).max(self.output()),
        };
        (input, output)
    }

    /// Returns the estimated tokens of the response so far. An event of a stream has at least one.
    fn output(&self) -> u64 {
        let envelopes = self.lines.saturating_mul(ENVELOPE);
        self.lines + self.bytes.saturating_sub(envelopes).div_ceil(BYTES_PER_TOKEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(kind: &str, data: &[&str]) -> Estimate {
        let mut estimate = Estimate::of_path("/v1/chat/completions").unwrap();
        estimate.sent().fetch_add(400, Ordering::Relaxed);
        estimate.begin(StatusCode::OK, &HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]));
        data.iter().for_each(|data| estimate.see(data.as_bytes()));
        estimate
    }

    #[test]
    fn a_response_without_a_report_is_estimated() {
        assert_eq!(estimate("application/json", &["x".repeat(80).as_str()]).tokens(None), (100, 20));
        let events = ["data: {}\n\nda", "ta: {}\r\n\r", "\ndata: {}\n\n"];
        assert_eq!(estimate("text/event-stream", &events).tokens(None), (100, 3));
        assert!(Estimate::of_path("/v1/models").is_none());
    }

    #[test]
    fn a_report_counts_if_it_is_the_last_one() {
        let mut usage = Usage::default();
        (usage.input_tokens, usage.output_tokens) = (Some(7), Some(1));
        let mut left = estimate("text/event-stream", &["data: {}\n\n".repeat(9).as_str()]);
        assert_eq!(left.tokens(Some(usage)), (7, 9));
        left.end();
        assert_eq!(left.tokens(Some(usage)), (7, 1));
    }

    #[test]
    fn an_error_is_not_estimated() {
        let mut estimate = Estimate::of_path("/v1/chat/completions").unwrap();
        estimate.begin(StatusCode::BAD_REQUEST, &HeaderMap::new());
        estimate.see(&[b'x'; 100]);
        assert_eq!(estimate.tokens(None), (0, 0));
    }
}
