//! Limits in messages and bodies.
//!
//! A message such as `Rate limit reached … on tokens per min (TPM): Limit 30000, Used 22999, Requested
//! 12528.` names numbers that no header contains. The same numbers show when a wait in the message is wrong:
//! a request that asks for more than the limit never passes.

use serde_json::Value;

use crate::classify::error_body::ErrorBody;
use crate::classify::hints;
use crate::clock::Timestamp;
use crate::provider::limits::{Dimension, Limit, Window};
use crate::text::find::{contains, positions};

/// The numbers that a message states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stated {
    pub(crate) limit: Option<u64>,
    pub(crate) used: Option<u64>,
    pub(crate) requested: Option<u64>,
    /// Position of the word `limit` in the message.
    at: usize,
}

/// Phrases for dimensions in messages, in lower case, the more specific first.
const DIMENSIONS: [(Dimension, &[&str]); 5] = [
    (Dimension::InputTokens, &["input tokens per", "input_token_count", "inputtokens"]),
    (Dimension::OutputTokens, &["output tokens per", "output_token_count"]),
    (Dimension::Images, &["images per", "(ipm)"]),
    (Dimension::Tokens, &["tokens per", "token rate limit", "tpm", "tpd", "tokens_usage"]),
    (
        Dimension::Requests,
        &[
            "requests per",
            "queries per",
            "calls per",
            "api calls",
            "request rate",
            "rpm",
            "rpd",
            "rps",
            "_requests",
            "rate limit of",
        ],
    ),
];

const WINDOWS: [(Window, &[&str]); 5] = [
    (Window::SECOND, &["per second", "/sec", "rps"]),
    (
        Window::MINUTE,
        &[
            "per minute",
            "per min",
            "/ min",
            "/min",
            "/1min",
            "tpm",
            "rpm",
            "per 60s",
            "perminute",
            "/ minute",
        ],
    ),
    (Window::HOUR, &["per hour", "/ hour", "/hour"]),
    (Window::DAY, &["per day", "/ day", "/day", "tpd", "rpd", "per 86400s", "perday", "per-day"]),
    (Window::MONTH, &["per month", "/ month", "/month"]),
];

/// Returns all limits that a body names.
pub(super) fn read(body: &ErrorBody, now: Timestamp) -> Vec<Limit> {
    let google = google(body);
    if !google.is_empty() {
        return google;
    }
    headers_in_body(body, now).or_else(|| in_sentence(body.message())).into_iter().collect()
}

/// Parses the numbers after `limit`, after `used` or `current`, and after `requested`.
pub(crate) fn stated(message: &str) -> Stated {
    let text = message.to_ascii_lowercase();
    let (limit, at) = number_after(&text, "limit").map_or((None, text.len()), |(n, at)| (Some(n), at));
    let used = number_after(&text, "used").or_else(|| number_after(&text, "current"));
    let requested = number_after(&text, "requested");
    Stated { limit, used: used.map(|(n, _)| n), requested: requested.map(|(n, _)| n), at }
}

impl Stated {
    /// Returns whether the request asks for more than the whole limit.
    pub(crate) fn can_never_pass(&self) -> bool {
        self.limit.zip(self.requested).is_some_and(|(limit, requested)| limit > 0 && requested > limit)
    }
}

fn in_sentence(message: &str) -> Option<Limit> {
    let numbers = stated(message);
    let text = message.to_ascii_lowercase();
    let limit = numbers.limit.or_else(|| rate_in(&text))?;
    let named = if numbers.limit.is_some() { around(&text, numbers.at) } else { &text };
    let remaining =
        numbers.used.map(|used| limit.saturating_sub(used)).or_else(|| is_refusal(&text).then_some(0));
    Some(Limit {
        limit: Some(limit),
        remaining,
        window: pick(&WINDOWS, named).or_else(|| pick(&WINDOWS, &text)),
        ..Limit::new(pick(&DIMENSIONS, named).or_else(|| pick(&DIMENSIONS, &text))?)
    })
}

/// Returns the text before the number and a little of what follows it: `Limit: 60 / min`.
fn around(text: &str, at: usize) -> &str {
    let end =
        text.char_indices().map(|(index, _)| index).find(|index| *index >= at + 24).unwrap_or(text.len());
    &text[..end]
}

fn is_refusal(text: &str) -> bool {
    ["reached", "exceeded"].iter().any(|word| contains(text, word))
}

/// Parses a rate: `The maximum rate limit for this model is 9.0 queries per minute`, `rate limit of 10 per
/// 60s`.
fn rate_in(text: &str) -> Option<u64> {
    ["for this model is", "rate limit of", "limited to", "organization of"]
        .iter()
        .find_map(|lead_in| number_after(text, lead_in))
        .map(|(number, _)| number)
}

fn pick<T: Copy, const N: usize>(table: &[(T, &[&str]); N], text: &str) -> Option<T> {
    table.iter().find(|(_, words)| words.iter().any(|word| contains(text, word))).map(|(value, _)| *value)
}

/// Returns the first number that directly follows a word, apart from punctuation, and the position of the
/// word.
fn number_after(text: &str, word: &str) -> Option<(u64, usize)> {
    positions(text, word).find_map(|at| {
        let rest = text[at + word.len()..].trim_start_matches([':', ' ', '~', '=']);
        let digits: String =
            rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
        digits.parse().ok().map(|number| (number, at))
    })
}

/// Parses Voyage's two limits: `reduced rate limits of 3 RPM and 10K TPM`.
pub(super) fn reduced(text: &str) -> Option<[Limit; 2]> {
    let (_, rest) = text.split_once("rate limits of ")?;
    let mut words = rest.split_whitespace();
    let requests = words.next()?.parse().ok()?;
    let thousands: u64 = words.nth(2)?.strip_suffix('K')?.parse().ok()?;
    let minute = |dimension, limit| Limit {
        limit: Some(limit),
        window: Some(Window::MINUTE),
        ..Limit::new(dimension)
    };
    Some([minute(Dimension::Requests, requests), minute(Dimension::Tokens, thousands.saturating_mul(1_000))])
}

/// Returns the limit in the headers that OpenRouter repeats in the body, with the reset in Unix milliseconds.
fn headers_in_body(body: &ErrorBody, now: Timestamp) -> Option<Limit> {
    let headers = body.at("/error/metadata/headers")?;
    let read = |name: &str| match headers.get(name)? {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    let window = pick(&WINDOWS, &body.message().to_ascii_lowercase());
    Some(Limit {
        limit: Some(read("X-RateLimit-Limit")?),
        remaining: read("X-RateLimit-Remaining"),
        window: window.or_else(|| body.says("per-min").then_some(Window::MINUTE)),
        reset: read("X-RateLimit-Reset").and_then(|at| hints::epoch(at, now)),
        ..Limit::new(Dimension::Requests)
    })
}

/// Returns the limits in Google's violations: `quotaId` names the window, `quotaMetric` the dimension.
fn google(body: &ErrorBody) -> Vec<Limit> {
    let details = body.at("/error/details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let violations = details.iter().filter_map(|detail| detail.get("violations")?.as_array()).flatten();
    violations.filter_map(violated).collect()
}

fn violated(violation: &Value) -> Option<Limit> {
    let field = |name: &str| violation.get(name).and_then(Value::as_str).unwrap_or_default();
    let limit: u64 = field("quotaValue").parse().ok()?;
    let names = format!("{} {}", field("quotaMetric"), field("quotaId")).to_ascii_lowercase();
    let dimension = pick(&DIMENSIONS, &names).unwrap_or(Dimension::Requests);
    // A request that exceeds the rest by one token is refused while thousands are left, so a token limit may
    // have tokens remaining. A request counts as one, so none remain.
    let remaining = (dimension == Dimension::Requests).then_some(0);
    Some(Limit { limit: Some(limit), remaining, window: pick(&WINDOWS, &names), ..Limit::new(dimension) })
}
