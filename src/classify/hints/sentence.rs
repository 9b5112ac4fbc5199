//! Waits in sentences.
//!
//! A phrase such as *try again*, *resets* or *will be replenished* leads in the wait. Only prepositions and a
//! few other words may stand between them, so that *resets every 5 hours* and *when the 7-day window ends* name
//! no wait. In Chinese the verb follows the time.

use std::time::Duration;

use crate::classify::hints::{calendar, chinese, span, until};
use crate::clock::Timestamp;
use crate::text::find::positions;

/// Beginnings of phrases that lead in a wait, in lower case.
const LEAD_INS: [&str; 24] = [
    "again",
    "retry",
    "wait",
    "reset",
    "refresh",
    "replenish",
    "renew",
    "restor",
    "resum",
    "recover",
    "regain access",
    "available",
    "unlock",
    "unblock",
    "lifted",
    "come back",
    "comes back",
    "until",
    "cooldown",
    "cool down",
    "retried",
    "returns",
    "be back",
    "refill",
];

/// Words that may stand between a lead-in and its wait.
const BETWEEN: [&str; 26] = [
    "in",
    "at",
    "on",
    "after",
    "by",
    "for",
    "to",
    "about",
    "approximately",
    "approx",
    "around",
    "the",
    "least",
    "another",
    "time",
    "is",
    "will",
    "be",
    "date",
    "again",
    "until",
    "next",
    "your",
    "request",
    "of",
    "it",
];

/// Maximum length of the message that is read, in bytes.
const MAX_BYTES: usize = 4 * 1024;

/// Maximum number of lead-ins that are followed.
const MAX_LEAD_INS: usize = 24;

/// Words that a wait begins with, besides digits: times of day, months and weekdays, of which the beginning is
/// enough, and numbers.
const NAMES: [&str; 21] = [
    "midnight",
    "noon",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Maximum number of words between a lead-in and its wait.
const DISTANCE: usize = 6;

/// Returns the wait named in a message: `Please try again in 7m12s.`, `Resets in 2 days`, `It will reset at
/// 2026-08-29 23:59:59 +0800`, `限额将在 2026-08-25 07:41:44 重置`.
///
/// `utc_offset` is the offset in hours of a time without a zone; one beyond 14 counts as 0. Chinese sentences without a
/// zone mean China's.
/// A point in the past, and a wait of more than 400 days, are none.
pub fn sentence(text: &str, now: Timestamp, utc_offset: i8) -> Option<Duration> {
    let text = beginning(text).to_ascii_lowercase();
    let mut starts: Vec<_> =
        LEAD_INS.iter().flat_map(|words| positions(&text, words).map(|at| at + words.len())).collect();
    starts.sort_unstable();
    let starts = starts.into_iter().take(MAX_LEAD_INS);
    let english = starts.map(|start| &text[start..]).find_map(|rest| behind(rest, now, utc_offset));
    english.or_else(|| (!text.is_ascii()).then(|| chinese::sentence(&text, now))?)
}

/// Returns the wait behind a lead-in, whose last letters may still be there.
fn behind(text: &str, now: Timestamp, utc_offset: i8) -> Option<Duration> {
    let mut rest = text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    let mut is_time = false;
    for _ in 0..=DISTANCE {
        rest = rest.trim_start_matches([' ', ':', '~', '(', '\n', '\u{a0}', '=', '_', '≈']);
        let point = || until(calendar::leading(rest, now, utc_offset)?, now);
        let length = || span::leading(rest, now);
        if may_begin(rest) {
            let wait = if is_time { point().or_else(length) } else { length().or_else(point) };
            if wait.is_some() {
                return wait;
            }
        }
        let end = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if !BETWEEN.contains(&word) {
            return None;
        }
        is_time =
            matches!(word, "at" | "on" | "until" | "by") || (is_time && word != "in" && word != "after");
        rest = behind;
    }
    None
}

/// Returns whether a text can begin with a wait.
fn may_begin(text: &str) -> bool {
    if text.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return true;
    }
    let end = text.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let word = &text[..end];
    matches!(word, "a" | "an" | "one") || (end >= 3 && NAMES.iter().any(|name| name.starts_with(word)))
}

/// Returns the first [`MAX_BYTES`] of a text, or less where these end within a character.
fn beginning(text: &str) -> &str {
    let end = (0..=MAX_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}
