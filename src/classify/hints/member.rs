//! Waits in members of an error document: `retry_after`, `resets_in_seconds`, `reset_at`.

use std::time::Duration;

use serde_json::Value;

use crate::classify::hints::{calendar, epoch, http_date, milliseconds, seconds, span, until};
use crate::clock::Timestamp;

/// Names of members with a number of seconds or a duration, without underscores and in lower case.
const LENGTHS: [&str; 17] = [
    "retryafter",
    "retryafterseconds",
    "retryaftersecs",
    "retryafterinseconds",
    "retryin",
    "retryinseconds",
    "retrydelay",
    "resetin",
    "resetsin",
    "resetinseconds",
    "resetsinseconds",
    "resetafter",
    "resetafterseconds",
    "waitseconds",
    "cooldownseconds",
    "secondsuntilreset",
    "quotaresetdelay",
];

/// Names of members with a number of milliseconds.
const MILLISECONDS: [&str; 5] = ["retryafterms", "resetafterms", "resetinms", "retrydelayms", "waitms"];

/// Names of members with a point in time.
const POINTS: [&str; 14] = [
    "resetat",
    "resetsat",
    "resettime",
    "resetdate",
    "resettimestamp",
    "nextreset",
    "nextresetat",
    "nextresettime",
    "retryat",
    "availableat",
    "quotaresettimestamp",
    "quotaresettime",
    "renewsat",
    "resetson",
];

/// Maximum depth at which members are looked for.
const MAX_DEPTH: usize = 4;

/// Returns the wait that a member of a document names.
///
/// A number is seconds, or a point in Unix time if the name says so; a text may also be a duration, a date or
/// RFC 3339. `utc_offset` is the offset in hours of a time without a zone; one beyond 14 counts as 0.
pub fn member(document: &Value, now: Timestamp, utc_offset: i8) -> Option<Duration> {
    find(document, &|name, value| wait(name, value, now, utc_offset), 0)
}

fn find<T>(document: &Value, read: &dyn Fn(&str, &Value) -> Option<T>, depth: usize) -> Option<T> {
    if depth > MAX_DEPTH {
        return None;
    }
    match document {
        Value::Object(members) => {
            let own = members.iter().find_map(|(name, value)| read(name, value));
            own.or_else(|| members.values().find_map(|value| find(value, read, depth + 1)))
        }
        Value::Array(list) => list.iter().find_map(|value| find(value, read, depth + 1)),
        _ => None,
    }
}

fn wait(name: &str, value: &Value, now: Timestamp, utc_offset: i8) -> Option<Duration> {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let name: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    let text = match value {
        Value::String(text) => text.trim().to_ascii_lowercase(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let is_one_of = |names: &[&str]| names.contains(&name.as_str());
    let instant = || calendar::leading(&text, now, utc_offset).and_then(|at| until(at, now));
    let point = || instant().or_else(|| http_date(&text, now));
    let unix = || epoch(text.parse().ok()?, now);
    let length = || seconds(&text).or_else(|| span::leading(&text, now));
    match () {
        () if is_one_of(&LENGTHS) => length().or_else(point),
        () if is_one_of(&MILLISECONDS) => milliseconds(&text),
        () if is_one_of(&POINTS) => unix().or_else(point).or_else(|| span::leading(&text, now)),
        () => None,
    }
}
