//! Parsers for the wait that a provider names: headers, durations and sentences become a [`Duration`].
//!
//! These are pure functions over untrusted text. A wait counts as a hint only if it is longer than zero and
//! not longer than [`MAX_HINT`]. Zero and negative numbers, `NaN`, and dates in the past or in the year 9999
//! are no hints. [`UpstreamResponse`](crate::classify::response::UpstreamResponse) decides which of several hints applies, because it knows
//! the provider's exceptions.
//!
//! `jiff` and `httpdate` parse durations and dates; nothing here takes a date apart by hand.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName};
use jiff::SignedDuration;

use crate::clock::Timestamp;

/// Maximum wait that counts as a hint (400 days): a contract year with some room.
pub(crate) const MAX_HINT: Duration = Duration::from_secs(400 * 24 * 60 * 60);

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Phrases that precede a wait in the messages of providers, in lower case.
const LEAD_INS: [&str; 9] = [
    "try again in ",
    "try again after ",
    "retry in ",
    "retry after ",
    "reset after ",
    "resets in ",
    "please wait ",
    "reset in ",
    "available in ",
];

/// Maximum number of words that form one duration: `1 hour 2 minutes`.
const DURATION_WORDS: usize = 4;

/// Returns the wait in `retry-after-ms`, or else in `retry-after` as seconds or as an HTTP date.
///
/// A `retry-after-ms` of zero does not hide the seconds beside it: Azure sends such pairs.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let first = |name: HeaderName, read: &dyn Fn(&str) -> Option<Duration>| {
        headers.get_all(name).iter().find_map(|value| read(value.to_str().ok()?.trim()))
    };
    first(RETRY_AFTER_MS, &milliseconds)
        .or_else(|| first(RETRY_AFTER, &|text| seconds(text).or_else(|| http_date(text, now))))
}

/// Parses a number of seconds, whole or fractional.
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    believable(Duration::try_from_secs_f64(text.parse().ok()?).ok()?)
}

/// Parses a number of milliseconds, whole or fractional.
pub(crate) fn milliseconds(text: &str) -> Option<Duration> {
    let ms: f64 = text.parse().ok()?;
    believable(Duration::try_from_secs_f64(ms / 1_000.0).ok()?)
}

/// Parses an HTTP date into the time from `now` to it.
pub(crate) fn http_date(text: &str, now: Timestamp) -> Option<Duration> {
    until(Timestamp::from(httpdate::parse_http_date(text).ok()?), now)
}

/// Parses an RFC 3339 instant into the time from `now` to it.
pub(crate) fn rfc3339(text: &str, now: Timestamp) -> Option<Duration> {
    until(instant(text)?, now)
}

/// Parses an RFC 3339 instant.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok().map(Timestamp::from_unix_ms)
}

/// Returns the time from `now` to a point in Unix time. Its size shows whether the number means seconds or
/// milliseconds.
pub(crate) fn epoch(number: u64, now: Timestamp) -> Option<Duration> {
    const SMALLEST_MS: u64 = 100_000_000_000;
    let ms = if number < SMALLEST_MS { number.saturating_mul(1_000) } else { number };
    until(Timestamp::from_unix_ms(ms), now)
}

/// Parses a duration with units, as Go and protobuf write it: `6m0s`, `88ms`, `1m0.052s`, `3.299376739s`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    believable(length(text)?)
}

/// Parses a duration like [`duration`], but accepts zero (a bucket that is full now) and has no upper bound.
pub(crate) fn length(text: &str) -> Option<Duration> {
    Duration::try_from(text.parse::<SignedDuration>().ok()?).ok()
}

/// Returns the wait named in a sentence: `Please try again in 7m12s.`, `retry after 20 seconds`, `You will
/// regain access on 2026-09-01 at 00:00 UTC.`
pub(crate) fn sentence(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    LEAD_INS
        .iter()
        .flat_map(|lead_in| text.split(lead_in).skip(1))
        .find_map(leading_duration)
        .or_else(|| regain(&text, now))
}

fn leading_duration(text: &str) -> Option<Duration> {
    let words: Vec<_> = text.split_whitespace().take(DURATION_WORDS).collect();
    (1..=words.len()).rev().find_map(|count| {
        let phrase = words[..count].join(" ");
        let phrase = phrase.trim_start_matches('~').trim_end_matches(['.', ',', ';', ')', '!']);
        duration(phrase)
    })
}

fn regain(text: &str, now: Timestamp) -> Option<Duration> {
    let (_, rest) = text.split_once("access on ")?;
    let mut words = rest.split_whitespace();
    let date = words.next()?.trim_end_matches(['.', ',']);
    let time = match (words.next(), words.next()) {
        (Some("at"), Some(time)) => time,
        _ => "00:00",
    };
    rfc3339(&format!("{date}T{time}:00Z"), now)
}

fn until(at: Timestamp, now: Timestamp) -> Option<Duration> {
    believable(at.saturating_since(now))
}

fn believable(wait: Duration) -> Option<Duration> {
    (!wait.is_zero() && wait <= MAX_HINT).then_some(wait)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_774_915_200_000); // 2026-03-31T00:00:00Z

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn retry_after_headers() {
        for (pairs, expected) in [
            (&[("retry-after", "16")][..], ms(16_000)),
            (&[("retry-after", " 1.5 ")], ms(1_500)),
            (&[("retry-after", "Tue, 31 Mar 2026 00:01:00 GMT")], ms(60_000)),
            (&[("retry-after", "Mon, 30 Mar 2026 23:59:00 GMT")], None),
            (&[("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT")], None),
            (&[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")], None),
            (&[("retry-after-ms", "494"), ("retry-after", "1")], ms(494)),
            (&[("retry-after-ms", "0"), ("retry-after", "1")], ms(1_000)),
            (&[("retry-after", "x"), ("retry-after", "7")], ms(7_000)),
            (&[("retry-after", "0")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "-0.0")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "1e300")], None),
            (&[("retry-after", "99999999999999999999")], None),
            (&[("retry-after", "")], None),
            (&[("retry-after", "五")], None),
            (&[("retry-after", "1555200")], ms(1_555_200_000)),
            (&[], None),
        ] {
            assert_eq!(retry_after(&headers(pairs), NOW), expected, "{pairs:?}");
        }
    }

    #[test]
    fn durations_with_units() {
        for (text, expected) in [
            ("88ms", ms(88)),
            ("1s", ms(1_000)),
            ("1.182s", ms(1_182)),
            ("6m0s", ms(360_000)),
            ("1m0.052s", ms(60_052)),
            ("20m52.666s", ms(1_252_666)),
            ("21h8m23s", ms(76_103_000)),
            ("65205s", ms(65_205_000)),
            ("3.299376739s", Some(Duration::new(3, 299_376_739))),
            ("17.399999999s", Some(Duration::new(17, 399_999_999))),
            ("0s", None),
            ("-5s", None),
            ("", None),
            ("5", None),
            ("9999999999999999999h", None),
            ("１s", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
        assert_eq!(length("0s"), Some(Duration::ZERO));
    }

    #[test]
    fn points_in_time() {
        assert_eq!(rfc3339("2026-03-31T00:01:03Z", NOW), ms(63_000));
        assert_eq!(rfc3339("2026-03-30T23:59:59Z", NOW), None);
        assert_eq!(rfc3339("9999-12-31T23:59:59Z", NOW), None);
        assert_eq!(rfc3339("1969-12-31T23:59:59Z", NOW), None);
        assert_eq!(rfc3339("2026-02-30T00:00:00Z", NOW), None);
        assert_eq!(epoch(1_774_915_260, NOW), ms(60_000));
        assert_eq!(epoch(1_774_915_260_000, NOW), ms(60_000));
        assert_eq!(epoch(u64::MAX, NOW), None);
        assert_eq!(epoch(0, NOW), None);
    }

    #[test]
    fn sentences() {
        for (text, expected) in [
            ("Limit 200, Used 200, Requested 1. Please try again in 7m12s. Visit https://x.y", ms(432_000)),
            ("Please try again in 174ms. Visit", ms(174)),
            ("Please try again in 9m38.016s. Need more tokens?", ms(578_016)),
            ("Rate limit is exceeded. Try again in 2 seconds.", ms(2_000)),
            ("Please retry after 20 seconds. For improved latency", ms(20_000)),
            ("please try again after 1 seconds", ms(1_000)),
            ("Your quota will reset after 3s.", ms(3_000)),
            ("Your quota will reset after 21h8m23s.", ms(76_103_000)),
            ("Your quota will reset after 0s.", None),
            ("Please retry in 48.939935699s.", Some(Duration::new(48, 939_935_699))),
            ("Please wait 46 seconds before retrying.", ms(46_000)),
            ("Try again in 60 seconds", ms(60_000)),
            ("try again in ~1 hour 2 minutes, then", ms(3_720_000)),
            ("You will regain access on 2026-04-01 at 00:00 UTC.", ms(86_400_000)),
            ("You will regain access on 2026-03-01 at 00:00 UTC.", None),
            ("You will regain access on 2026-13-45 at 00:00 UTC.", None),
            ("please wait a moment and try again.", None),
            ("Please try again later.", None),
            ("try again in ", None),
            ("try again in 五 seconds", None),
            ("", None),
        ] {
            assert_eq!(sentence(text, NOW), expected, "{text}");
        }
    }
}
