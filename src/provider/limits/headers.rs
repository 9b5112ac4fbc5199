//! Limits in response headers, of five families.
//!
//! | family | used by |
//! |---|---|
//! | `x-ratelimit-{limit,remaining,reset}-DIMENSION[-WINDOW]` | OpenAI and most compatible providers |
//! | `x-ratelimit-{limit,remaining,reset}` | Together |
//! | `anthropic-ratelimit-DIMENSION-{limit,remaining,reset}` | Anthropic |
//! | `ratelimit: "api";r=999;t=295`, `ratelimit-{limit,remaining,reset}` | IETF drafts: Hugging Face, Replicate |
//! | `x-trial-endpoint-call-*`, `x-endpoint-monthly-call-limit` | Cohere |

mod others;

use std::time::Duration;

use http::HeaderMap;

use crate::classify::hints;
use crate::clock::Timestamp;
use crate::provider::limits::headers::others::Others;
use crate::provider::limits::{Dimension, Limit, Window, Windows};

/// Maximum number of limits read from one response (32), more than any provider sends. It bounds the work on
/// untrusted headers.
const MAX_LIMITS: usize = 32;

/// One dimension and window while its headers are collected.
struct Row<'a> {
    dimension: Dimension,
    named: Option<Window>,
    limit: Option<&'a str>,
    remaining: Option<&'a str>,
    reset: Option<&'a str>,
    renewal: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Field {
    Limit,
    Remaining,
    Reset,
    Renewal,
}

/// Returns all limits that headers name, requests before tokens.
pub(super) fn read(windows: Windows, headers: &HeaderMap, now: Timestamp) -> Vec<Limit> {
    let (rows, others) = rows(headers);
    if rows.is_empty() && others.is_nothing() {
        return Vec::new();
    }
    let mut limits: Vec<_> = rows.iter().filter_map(|row| row.limit(windows, now)).collect();
    limits.extend(others.limits(windows, headers, now));
    limits.sort_by_key(|limit| (limit.dimension, limit.window));
    limits
}

/// Returns the limits that a ledger can rely on.
///
/// Limits per second are left out: they are outdated when they arrive, and Together sends a zero with every
/// success.
pub(super) fn telling(windows: Windows, headers: &HeaderMap, now: Timestamp) -> Vec<Limit> {
    let fleeting = |limit: &Limit| limit.window == Some(Window::SECOND);
    let mut limits = read(windows, headers, now);
    limits.retain(|limit| limit.has_numbers() && !fleeting(limit));
    limits
}

fn rows(headers: &HeaderMap) -> (Vec<Row<'_>>, Others) {
    let (mut rows, mut others): (Vec<Row<'_>>, _) = (Vec::new(), Others::default());
    for (name, value) in headers {
        let name = name.as_str();
        // Names of limits begin with `anthropic-`, `ratelimit` or `x-`. Most headers of a response do not.
        if !name.starts_with(['a', 'r', 'x']) {
            continue;
        }
        let Some((field, dimension, named)) = parse_name(name) else {
            others.note(name);
            continue;
        };
        let Ok(value) = value.to_str() else { continue };
        let found = rows.iter().position(|row| row.dimension == dimension && row.named == named);
        let at = found.unwrap_or(rows.len());
        if at == rows.len() {
            if at == MAX_LIMITS {
                continue;
            }
            if rows.is_empty() {
                // Most providers report two or three limits.
                rows = Vec::with_capacity(4);
            }
            rows.push(Row { dimension, named, limit: None, remaining: None, reset: None, renewal: None });
        }
        rows[at].set(field, value.trim_ascii());
    }
    (rows, others)
}

fn parse_name(name: &str) -> Option<(Field, Dimension, Option<Window>)> {
    if let Some(rest) = name.strip_prefix("anthropic-ratelimit-") {
        let (dimension, field) = split_last_field(rest)?;
        return Some((field, parse_dimension(dimension)?, None));
    }
    let rest = name.strip_prefix("x-ratelimit-").or_else(|| name.strip_prefix("x-rate-limit-"))?;
    let (field, rest) = split_first_field(rest)?;
    let (dimension, window) = match parse_dimension(rest) {
        Some(dimension) => (dimension, None),
        None => split_window(rest).and_then(|(rest, window)| Some((parse_dimension(rest)?, Some(window))))?,
    };
    Some((field, dimension, window))
}

// No table: comparing constants takes a few instructions, and every response has these names.

fn split_first_field(name: &str) -> Option<(Field, &str)> {
    let of = |field, rest: Option<_>| rest.map(|rest| (field, rest));
    of(Field::Remaining, name.strip_prefix("remaining-"))
        .or_else(|| of(Field::Limit, name.strip_prefix("limit-")))
        .or_else(|| of(Field::Reset, name.strip_prefix("reset-")))
        .or_else(|| of(Field::Renewal, name.strip_prefix("renewalperiod-")))
}

fn split_last_field(name: &str) -> Option<(&str, Field)> {
    let of = |field, rest: Option<_>| rest.map(|rest| (rest, field));
    of(Field::Remaining, name.strip_suffix("-remaining"))
        .or_else(|| of(Field::Limit, name.strip_suffix("-limit")))
        .or_else(|| of(Field::Reset, name.strip_suffix("-reset")))
}

fn parse_dimension(name: &str) -> Option<Dimension> {
    match name {
        "requests" | "req" | "request" => Some(Dimension::Requests),
        "tokens" => Some(Dimension::Tokens),
        "input-tokens" | "tokens-prompt" => Some(Dimension::InputTokens),
        "output-tokens" | "tokens-generated" => Some(Dimension::OutputTokens),
        "images" | "input-images" => Some(Dimension::Images),
        "ocr-pages" | "pages" => Some(Dimension::Pages),
        _ => None,
    }
}

/// Splits the window off a name: Mistral and Cerebras write `req-10-second` and `tokens-month`.
fn split_window(name: &str) -> Option<(&str, Window)> {
    let (rest, unit) = name.rsplit_once('-')?;
    let Window(seconds) = match unit {
        "second" => Window::SECOND,
        "minute" => Window::MINUTE,
        "hour" => Window::HOUR,
        "day" => Window::DAY,
        "month" => Window::MONTH,
        _ => return None,
    };
    let counted = rest.rsplit_once('-').and_then(|(rest, count)| Some((rest, count.parse::<u64>().ok()?)));
    let (rest, count) = counted.unwrap_or((rest, 1));
    Some((rest, Window(seconds.saturating_mul(count))))
}

// === impl Row ===

impl<'a> Row<'a> {
    fn set(&mut self, field: Field, value: &'a str) {
        let slot = match field {
            Field::Limit => &mut self.limit,
            Field::Remaining => &mut self.remaining,
            Field::Reset => &mut self.reset,
            Field::Renewal => &mut self.renewal,
        };
        slot.get_or_insert(value);
    }

    /// Returns the limit of the row; `None` for sentinels: Azure sends -1 for both numbers where it does not
    /// count.
    fn limit(&self, windows: Windows, now: Timestamp) -> Option<Limit> {
        let (limit, remaining) = (self.limit.and_then(count), self.remaining.and_then(count));
        let reset = self.reset.and_then(|text| self.reset_in(text, limit, remaining, now));
        let says_only_reset =
            self.limit.or(self.remaining).is_none() && reset.is_some_and(|reset| !reset.is_zero());
        if limit.is_none() && remaining.is_none() && !says_only_reset {
            return None;
        }
        let renewal = self.renewal.and_then(count).map(Window);
        let documented = match self.dimension {
            Dimension::Requests => windows.requests,
            _ => windows.tokens,
        };
        let even = windows.even && self.dimension == Dimension::Requests;
        let refill = if even { refill_window(limit, remaining, reset) } else { None };
        let window = self.named.or(renewal).or(refill).or(documented);
        Some(Limit { dimension: self.dimension, limit, remaining, window, reset })
    }

    fn reset_in(
        &self,
        text: &str,
        limit: Option<u64>,
        left: Option<u64>,
        now: Timestamp,
    ) -> Option<Duration> {
        // Parsing a length as an instant and failing costs as much as everything else.
        let may_be_instant = text.bytes().any(|byte| matches!(byte, b'T' | b't' | b':' | b' '));
        if let Some(at) = may_be_instant.then(|| hints::instant(text)).flatten() {
            return Some(at.saturating_since(now)).filter(|reset| *reset <= hints::MAX_HINT);
        }
        let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
        let number = if has_unit { None } else { text.parse::<f64>().ok() };
        let Some(number) = number else {
            return hints::length(text).filter(|reset| *reset <= hints::MAX_HINT);
        };
        let period = self.renewal.and_then(count);
        match (period, limit, left) {
            (Some(period), Some(limit), Some(left)) if limit > 0 => {
                in_azures_unit(number, period, limit, left)
            }
            _ => in_seconds(number, now),
        }
    }
}

/// Interprets a reset of Azure, a bare integer in milliseconds (2024 API) or seconds (v1).
///
/// The header does not tell the unit. The used part of the limit tells when the bucket is full again, and the
/// unit that is closer to that time counts.
fn in_azures_unit(number: f64, period: u64, limit: u64, left: u64) -> Option<Duration> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let full_in = period as f64 * limit.saturating_sub(left) as f64 / limit as f64;
    let distance = |unit: f64| (number * unit - full_in).abs();
    let unit = if distance(0.001) < distance(1.0) { 0.001 } else { 1.0 };
    Duration::try_from_secs_f64(number * unit).ok().filter(|reset| *reset <= hints::MAX_HINT)
}

/// Interprets a bare number as seconds, or as a point in Unix time if it is too large for a wait.
fn in_seconds(number: f64, now: Timestamp) -> Option<Duration> {
    let length = Duration::try_from_secs_f64(number).ok()?;
    if length <= hints::MAX_HINT { Some(length) } else { hints::epoch(length.as_secs(), now) }
}

/// Returns the daily window if OpenAI's headers for requests show it.
///
/// They show one window, which may be the daily one: a bucket that regains one of 100 requests in 14m24s is
/// full in a day.
fn refill_window(limit: Option<u64>, remaining: Option<u64>, reset: Option<Duration>) -> Option<Window> {
    let (limit, spent) = (limit?, limit?.checked_sub(remaining?)?);
    let millis = u64::try_from(reset?.as_millis()).ok()?;
    let full = millis.checked_mul(limit)?.checked_div(spent)?;
    (full > 2 * 60 * 60 * 1_000).then_some(Window::DAY)
}

fn count(text: &str) -> Option<u64> {
    /// Numbers of at least this size are sentinels for "unlimited".
    const ENDLESS: u64 = 9_000_000_000_000_000;
    let number = text.parse().ok().or_else(|| fraction(text))?;
    (number < ENDLESS).then_some(number)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked in the same line")]
fn fraction(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| *number >= 0.0).map(|number: f64| number as u64)
}
