//! Durations in sentences: `2 days`, `6d 2hr`, `4hr 59min`, `an hour and 5 minutes`, `22.14:18:12`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo, Zoned};

use crate::classify::hints::believable;
use crate::clock::Timestamp;

/// Maximum number of words that form one duration: `1 week, 2 days, 3 hours, 4 minutes and 5 seconds`.
const WORDS: usize = 11;

/// Returns the longest duration at the beginning of a text in lower case. `now` decides the length of a month.
pub(super) fn leading(text: &str, now: Timestamp) -> Option<Duration> {
    let words: Vec<_> = text.split_whitespace().take(WORDS).collect();
    let first = words.first()?;
    if !first.starts_with(|letter: char| letter.is_ascii_digit() || matches!(letter, '~' | '.' | 'a' | 'o')) {
        return None;
    }
    (1..=words.len()).rev().find_map(|count| parse(&words[..count], now))
}

fn parse(words: &[&str], now: Timestamp) -> Option<Duration> {
    let mut phrase = String::new();
    for word in words {
        let word = word.trim_start_matches(['~', '(']).trim_end_matches(['.', ',', ';', ')', '!', '?', ':']);
        match word {
            "and" => {}
            "a" | "an" | "one" => phrase.push_str(" 1"),
            word => phrase.extend([" ", &word.replace("(s", "s").replace("hrs", "h").replace("hr", "h")]),
        }
    }
    let phrase = phrase.trim();
    // A number without a unit is none, and neither is a time of day.
    if !phrase.ends_with(|letter: char| letter.is_ascii_alphabetic()) {
        return of_clock(phrase, now);
    }
    length(phrase, now)
}

/// Parses days, hours, minutes and seconds as .NET writes them, or hours, minutes and seconds.
fn of_clock(text: &str, now: Timestamp) -> Option<Duration> {
    if text.matches(':').count() != 2 {
        return None;
    }
    match text.split_once('.').filter(|(days, _)| !days.contains(':')) {
        Some((days, clock)) => length(&format!("{days}d {clock}"), now),
        None => length(text, now),
    }
}

fn length(text: &str, now: Timestamp) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    let is_calendar = span.get_months() != 0 || span.get_years() != 0;
    let at = jiff::Timestamp::from_millisecond(i64::try_from(now.as_unix_ms()).ok()?).ok()?;
    let today: Zoned = at.to_zoned(jiff::tz::TimeZone::UTC);
    let since = if is_calendar { SpanRelativeTo::from(&today) } else { SpanRelativeTo::days_are_24_hours() };
    believable(Duration::try_from(span.to_duration(since).ok()?).ok()?)
}
