//! The data that a response is made from.

use std::time::Duration;

use tokio::time::Instant;

use super::output::Output;
use super::request::ReceivedRequest;
use crate::clock::unix_ms;
use crate::models::Models;
use crate::quota::{Gauge, Gauges};

/// The data of one call that its response shows.
pub(crate) struct ResponseInput<'a> {
    pub(crate) request: &'a ReceivedRequest,
    /// Name of the key's account.
    pub(crate) organization: &'a str,
    pub(crate) gauges: Gauges,
    /// Number of the call, from 1. Ids contain it.
    pub(crate) serial: u64,
    pub(crate) now: Instant,
    pub(crate) models: &'a Models,
    /// Number of words in a response.
    pub(crate) words: usize,
    /// Output of the model. Without text if the call is refused.
    pub(crate) output: Output,
}

// === impl ResponseInput ===

impl ResponseInput<'_> {
    pub(crate) fn model(&self) -> &str {
        self.request.model()
    }

    /// Returns the data of the request that is on line `at`, from 0, of a batch.
    pub(super) fn within<'b>(&'b self, request: &'b ReceivedRequest, at: usize) -> ResponseInput<'b> {
        ResponseInput {
            request,
            output: Output::of(&request.body, self.words),
            serial: self.serial | (at as u64 + 1) << 40,
            organization: self.organization,
            gauges: self.gauges,
            now: self.now,
            models: self.models,
            words: self.words,
        }
    }

    /// Returns an id in the provider's format. It differs from call to call.
    pub(crate) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:024x}", self.serial)
    }

    /// Returns the time of the response, in seconds since the Unix epoch.
    pub(crate) fn created(&self) -> u64 {
        unix_ms(self.now) / 1_000
    }

    pub(crate) fn prompt_tokens(&self) -> u64 {
        self.request.prompt_tokens
    }

    pub(crate) fn completion_tokens(&self) -> u64 {
        self.output.tokens
    }

    pub(crate) fn total_tokens(&self) -> u64 {
        self.prompt_tokens() + self.completion_tokens()
    }

    pub(crate) fn text(&self) -> String {
        self.output.pieces().concat()
    }

    /// Returns the gauge of requests. Without a limit, it is a made-up one for headers.
    pub(crate) fn requests(&self) -> Gauge {
        self.gauges.requests.unwrap_or(Gauge {
            limit: 10_000,
            remaining: 9_999,
            full_in: Duration::from_millis(6),
        })
    }

    /// Returns the gauge of tokens. Without a limit, it is a made-up one for headers.
    pub(crate) fn tokens(&self) -> Gauge {
        self.gauges.tokens.unwrap_or(Gauge {
            limit: 30_000_000,
            remaining: 29_999_000,
            full_in: Duration::from_millis(2),
        })
    }

    /// Returns the time `wait` from now as RFC 3339, in whole seconds, rounded up.
    pub(crate) fn rfc3339_after(&self, wait: Duration) -> String {
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
