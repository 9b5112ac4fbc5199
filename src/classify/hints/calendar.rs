//! Points in time in sentences: `2026-08-29 23:59:59 +0800 CST`, `Nov 30th, 2026 7:51 PM`, `3pm (Europe/Berlin)`.

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, ToSpan, Zoned};

use crate::clock::Timestamp;

/// Forms of dates and times, the longer first. Letters are in lower case, as in the text.
const FORMS: [&str; 44] = [
    "%Y-%m-%dt%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dt%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y年%m月%d日 %H:%M:%S",
    "%Y年%m月%d日 %H:%M",
    "%Y年%m月%d日%H:%M:%S",
    "%Y年%m月%d日%H:%M",
    "%Y年%m月%d日",
    "%m月%d日 %H:%M:%S",
    "%m月%d日 %H:%M",
    "%m月%d日%H:%M",
    "%m月%d日%H时",
    "%m月%d日",
    "%m-%d %H:%M:%S",
    "%m-%d %H:%M",
    "%b %d %Y %I:%M:%S %p",
    "%b %d %Y %I:%M %p",
    "%b %d %Y %I:%M%p",
    "%b %d %Y %I %p",
    "%b %d %Y %I%p",
    "%b %d %Y %H:%M:%S",
    "%b %d %Y %H:%M",
    "%b %d %Y",
    "%b %d %I:%M %p",
    "%b %d %I:%M%p",
    "%b %d %I %p",
    "%b %d %I%p",
    "%b %d %H:%M:%S",
    "%b %d %H:%M",
    "%d %b %Y %H:%M:%S",
    "%d %b %Y %H:%M",
    "%d %b %Y",
    "%b %d",
    "%Y-%m-%d",
    "%I:%M:%S %p",
    "%I:%M %p",
    "%I:%M%p",
    "%I %p",
    "%I%p",
    "%H:%M:%S",
    "%H:%M",
];

/// Names of zones that are in no database, with their offsets in hours, or a POSIX rule.
const ZONES: [(&str, &str); 22] = [
    ("utc", "UTC0"),
    ("gmt", "UTC0"),
    ("z", "UTC0"),
    ("pt", "PST8PDT,M3.2.0,M11.1.0"),
    ("pst", "PST8PDT,M3.2.0,M11.1.0"),
    ("pdt", "PST8PDT,M3.2.0,M11.1.0"),
    ("pacific", "PST8PDT,M3.2.0,M11.1.0"),
    ("et", "EST5EDT,M3.2.0,M11.1.0"),
    ("est", "EST5EDT,M3.2.0,M11.1.0"),
    ("edt", "EST5EDT,M3.2.0,M11.1.0"),
    ("mst", "MST7"),
    ("mdt", "MDT6"),
    ("cdt", "CDT5"),
    ("cet", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("cest", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("bst", "BST-1"),
    ("ist", "IST-5:30"),
    ("sgt", "SGT-8"),
    ("hkt", "HKT-8"),
    ("beijing", "CST-8"),
    ("jst", "JST-9"),
    ("kst", "KST-9"),
];

/// Returns the point in time at the beginning of a text in lower case. Without a zone, `utc_offset` hours
/// apply. Without a year, the nearest such day counts, and without a day, the next such time.
pub(super) fn leading(text: &str, now: Timestamp, utc_offset: i8) -> Option<Timestamp> {
    let text = plain(text);
    let word = text.split(' ').next()?.trim_end_matches(['.', ')', ';', '!']);
    if let Ok(at) = word.parse::<jiff::Timestamp>() {
        return unix(at);
    }
    if let Some(at) = since_epoch(word) {
        return Some(at);
    }
    let mut parsed = FORMS.iter().filter_map(|form| BrokenDownTime::parse_prefix(form, &text).ok());
    // The hour behind a date is no year.
    let (time, end) = parsed.find(|(time, _)| time.year().is_none_or(|year| year > 1_970))?;
    let (zone, now) = (zone(behind_fraction(&text[end..]), utc_offset), now.as_unix_ms());
    let here = jiff::Timestamp::from_millisecond(i64::try_from(now).ok()?).ok()?.to_zoned(zone);
    unix(resolve(time, &here)?.timestamp())
}

/// Returns the moment that is meant by a time, seen from `here`.
fn resolve(mut time: BrokenDownTime, here: &Zoned) -> Option<Zoned> {
    let of_day = time.to_time().ok()?;
    let at = |date: DateTime| date.to_zoned(here.time_zone().clone()).ok();
    if time.month().is_none() {
        let today = at(here.date().to_datetime(of_day))?;
        return if today > *here {
            Some(today)
        } else {
            at(here.date().tomorrow().ok()?.to_datetime(of_day))
        };
    }
    let has_year = time.year().is_some();
    time.set_year(time.year().or_else(|| Some(here.year()))).ok()?;
    let this_year = at(time.to_date().ok()?.to_datetime(of_day))?;
    let is_long_past =
        here.timestamp().duration_since(this_year.timestamp()) > SignedDuration::from_hours(24 * 30);
    if has_year || !is_long_past { Some(this_year) } else { this_year.checked_add(1.year()).ok() }
}

/// Removes the parts of a date that carry nothing: commas, `at`, `on`, the letters of `30th`, and weekdays.
fn plain(text: &str) -> String {
    let words = text
        .split_whitespace()
        .take(9)
        .filter(|word| !matches!(*word, "at" | "on" | "the" | "of" | "around"));
    let words = words.map(|word| word.trim_end_matches(',')).filter(|word| !is_weekday(word));
    words
        .map(|word| cardinal(word).or_else(|| month(word)).or_else(|| clock(word)).unwrap_or(word))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the time of day that has a name.
fn clock(word: &str) -> Option<&'static str> {
    match word.trim_end_matches(['.', ')', ';', '!']) {
        "midnight" => Some("00:00"),
        "noon" => Some("12:00"),
        _ => None,
    }
}

/// Returns the point in time that a word names in seconds or milliseconds since 1970.
fn since_epoch(word: &str) -> Option<Timestamp> {
    let number: u64 = word.parse().ok()?;
    match word.len() {
        10 => number.checked_mul(1_000).map(Timestamp::from_unix_ms),
        13 => Some(Timestamp::from_unix_ms(number)),
        _ => None,
    }
}

/// Returns the first three letters of a month's name.
fn month(word: &str) -> Option<&str> {
    let names = "january february march april may june july august september october november december sept";
    names.split(' ').find(|name| *name == word)?.get(..3)
}

fn is_weekday(word: &str) -> bool {
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().any(|day| word.starts_with(day))
        && word.ends_with(|letter: char| letter.is_ascii_alphabetic())
}

fn cardinal(word: &str) -> Option<&str> {
    let number = ["st", "nd", "rd", "th"].iter().find_map(|ending| word.strip_suffix(ending))?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(number)
}

fn behind_fraction(rest: &str) -> &str {
    match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|digit: char| digit.is_ascii_digit()) => {
            fraction.trim_start_matches(|digit: char| digit.is_ascii_digit())
        }
        _ => rest,
    }
}

/// Returns the zone at the beginning of a text, or the one of `utc_offset` hours.
fn zone(text: &str, utc_offset: i8) -> TimeZone {
    let text = text.trim_start_matches([' ', '(', ',']);
    let end = text.find([' ', ')', '.', ',', ';', '。', '，', '）']).unwrap_or(text.len());
    let word = &text[..end];
    let offset = |word: &str| {
        BrokenDownTime::parse("%:z", word).or_else(|_| BrokenDownTime::parse("%z", word)).ok()?.offset()
    };
    let of_utc = word.strip_prefix("utc").or_else(|| word.strip_prefix("gmt"));
    let hours = || of_utc?.parse().ok().and_then(at_hours);
    let known = || {
        let (_, rule) = ZONES.iter().find(|(name, _)| *name == word)?;
        TimeZone::posix(rule).ok()
    };
    let fixed = offset(of_utc.unwrap_or(word)).or_else(hours).map(TimeZone::fixed);
    let named = || word.contains('/').then(|| TimeZone::get(word).ok()).flatten();
    fixed
        .or_else(known)
        .or_else(named)
        .unwrap_or_else(|| TimeZone::fixed(at_hours(utc_offset).unwrap_or(Offset::UTC)))
}

/// Returns the offset of a zone. `None` for a number of hours that no zone has.
fn at_hours(hours: i8) -> Option<Offset> {
    (-14..=14).contains(&hours).then(|| Offset::constant(hours))
}

fn unix(at: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(at.as_millisecond()).ok().map(Timestamp::from_unix_ms)
}
