//! Limits in headers of other families: without a dimension, structured, of Cohere, and in a sentence.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::classify::hints;
use crate::clock::Timestamp;
use crate::provider::limits::headers::{count, in_seconds};
use crate::provider::limits::{Dimension, Limit, Window, Windows, messages};

/// Families of limit headers that a response has, besides those with a dimension in their names.
///
/// They are noted while the headers are walked, because looking up absent headers costs most responses more
/// than reading the present ones.
#[derive(Default)]
pub(super) struct Others {
    bare: bool,
    structured: bool,
    cohere: bool,
    warning: bool,
}

// === impl Others ===

impl Others {
    pub(super) fn note(&mut self, name: &str) {
        match name {
            "x-ratelimit-remaining" | "ratelimit-remaining" | "x-rate-limit-remaining" => self.bare = true,
            "ratelimit" => self.structured = true,
            "x-trial-endpoint-call-limit" | "x-endpoint-monthly-call-limit" => self.cohere = true,
            "x-api-warning" => self.warning = true,
            _ => {}
        }
    }

    pub(super) const fn is_nothing(&self) -> bool {
        !(self.bare || self.structured || self.cohere || self.warning)
    }

    pub(super) fn limits(&self, windows: Windows, headers: &HeaderMap, now: Timestamp) -> Vec<Limit> {
        let mut limits = Vec::new();
        if self.bare {
            limits.extend(bare(windows, headers, now));
        }
        if self.structured {
            limits.extend(structured(headers));
        }
        if self.cohere {
            limits.extend(cohere(headers));
        }
        if self.warning {
            limits.extend(text(headers, "x-api-warning").and_then(messages::reduced).into_iter().flatten());
        }
        limits
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Names of the headers without a dimension: limit, remaining and reset.
static BARE: [[HeaderName; 3]; 3] = [
    [
        HeaderName::from_static("x-ratelimit-limit"),
        HeaderName::from_static("x-ratelimit-remaining"),
        HeaderName::from_static("x-ratelimit-reset"),
    ],
    [
        HeaderName::from_static("ratelimit-limit"),
        HeaderName::from_static("ratelimit-remaining"),
        HeaderName::from_static("ratelimit-reset"),
    ],
    [
        HeaderName::from_static("x-rate-limit-limit"),
        HeaderName::from_static("x-rate-limit-remaining"),
        HeaderName::from_static("x-rate-limit-reset"),
    ],
];

/// Returns the limit in headers without a dimension, such as `x-ratelimit-limit` or `ratelimit-limit`.
fn bare(windows: Windows, headers: &HeaderMap, now: Timestamp) -> Option<Limit> {
    let read = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let [limit, remaining, reset] = BARE.iter().find(|[_, remaining, _]| read(remaining).is_some())?;
    let reset = read(reset).and_then(|text| match text.parse() {
        Ok(number) => in_seconds(number, now),
        Err(_) => hints::length(text),
    });
    let remaining = Some(count(read(remaining)?)?);
    let limit = read(limit).and_then(count);
    Some(Limit { limit, remaining, window: windows.bare, reset, ..Limit::new(Dimension::Requests) })
}

/// Returns the limit in headers of the IETF draft since version 8: `ratelimit: "api";r=999;t=295`,
/// `ratelimit-policy: "api";q=1000;w=300`.
fn structured(headers: &HeaderMap) -> Option<Limit> {
    let parameter = |header: &str, name: &str| {
        text(headers, header)?.split([';', ',']).find_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            (key == name).then(|| value.trim().parse::<u64>().ok()).flatten()
        })
    };
    Some(Limit {
        limit: parameter("ratelimit-policy", "q"),
        remaining: Some(parameter("ratelimit", "r")?),
        window: parameter("ratelimit-policy", "w").map(Window),
        reset: parameter("ratelimit", "t").map(Duration::from_secs).filter(|reset| *reset <= hints::MAX_HINT),
        ..Limit::new(Dimension::Requests)
    })
}

/// Returns the limits of Cohere's trial keys: calls per minute at this endpoint, and per month at all
/// endpoints.
fn cohere(headers: &HeaderMap) -> impl Iterator<Item = Limit> {
    let read = |name: &str| text(headers, name).and_then(count);
    let requests = |limit, remaining, window| {
        let limit = Some(limit?);
        Some(Limit { limit, remaining, window: Some(window), ..Limit::new(Dimension::Requests) })
    };
    let trial = "x-trial-endpoint-call-limit";
    let minute = requests(read(trial), read("x-trial-endpoint-call-remaining"), Window::MINUTE);
    let monthly = read("x-endpoint-monthly-call-limit");
    let month = requests(monthly, read("x-endpoint-monthly-call-remaining"), Window::MONTH);
    minute.into_iter().chain(month)
}
