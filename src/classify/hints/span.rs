//! Durations in sentences: `2 days`, `6d 2hr`, `4hr 59min`, `an hour and 5 minutes`, `22.14:18:12`.

use std::borrow::Cow;
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
            word => phrase.extend([" ", &unit(&without_separators(word))]),
        }
    }
    let phrase = phrase.trim();
    // A number without a unit is none, and neither is a time of day.
    if !phrase.ends_with(|letter: char| letter.is_ascii_alphabetic()) {
        return of_clock(phrase, now);
    }
    length(phrase, now)
}

/// Returns the word with the units that are known: `hr` is written `h`, `second(s` is written `seconds`.
fn unit(word: &str) -> String {
    word.replace("(s", "s").replace("hrs", "h").replace("hr", "h")
}

/// Removes the commas that separate thousands: `1,200` is a number of four digits. In `1,5` the comma is the decimal
/// mark.
fn without_separators(word: &str) -> Cow<'_, str> {
    let digits = |group: &str| group.bytes().take_while(u8::is_ascii_digit).count();
    let Some((first, rest)) = word.split_once(',') else { return Cow::Borrowed(word) };
    let is_first = (1..=3).contains(&first.len()) && digits(first) == first.len() && !first.starts_with('0');
    let separates = is_first && rest.split(',').all(|group| digits(group) == 3);
    if separates { Cow::Owned(word.replace(',', "")) } else { Cow::Borrowed(word) }
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
