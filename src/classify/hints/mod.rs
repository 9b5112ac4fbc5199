//! Parsers for the wait that a provider names: headers, durations and sentences become a [`Duration`].
//!
//! These are pure functions over untrusted text. A wait counts as a hint only if it is longer than zero and
//! not longer than [`MAX_HINT`]. Zero and negative numbers, `NaN`, and dates in the past or in the year 9999
//! are no hints. The private type `UpstreamResponse` decides which of several hints applies, because it knows
//! the provider's exceptions.
//!
//! `jiff` and `httpdate` parse durations and dates; only finding the phrase is done here.

mod calendar;
mod chinese;
mod member;
mod sentence;
mod span;
#[cfg(test)]
mod tests;

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName};
use jiff::SignedDuration;

pub use self::member::member;
pub use self::sentence::sentence;
use crate::clock::Timestamp;

/// Maximum wait that counts as a hint (400 days): a contract year with some room.
pub const MAX_HINT: Duration = Duration::from_secs(400 * 24 * 60 * 60);

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Returns the wait in `retry-after-ms`, or else in `retry-after` as seconds or as an HTTP date.
///
/// A `retry-after-ms` of zero does not hide the seconds beside it: Azure sends such pairs.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let first = |name: HeaderName, read: &dyn Fn(&str) -> Option<Duration>| {
        headers.get_all(name).iter().find_map(|value| read(value.to_str().ok()?.trim()))
    };
    first(RETRY_AFTER_MS, &milliseconds)
        .or_else(|| first(RETRY_AFTER, &|text| seconds(text).or_else(|| http_date(text, now))))
}

/// Parses a number of seconds, whole or fractional.
pub fn seconds(text: &str) -> Option<Duration> {
    believable(Duration::try_from_secs_f64(text.parse().ok()?).ok()?)
}

/// Parses a number of milliseconds, whole or fractional.
pub fn milliseconds(text: &str) -> Option<Duration> {
    let ms: f64 = text.parse().ok()?;
    believable(Duration::try_from_secs_f64(ms / 1_000.0).ok()?)
}

/// Parses an HTTP date into the time from `now` to it.
pub fn http_date(text: &str, now: Timestamp) -> Option<Duration> {
    until(Timestamp::from(httpdate::parse_http_date(text).ok()?), now)
}

/// Parses an RFC 3339 instant into the time from `now` to it.
pub fn rfc3339(text: &str, now: Timestamp) -> Option<Duration> {
    until(instant(text)?, now)
}

/// Parses an RFC 3339 instant.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok().map(Timestamp::from_unix_ms)
}

/// Returns the time from `now` to a point in Unix time. Its size shows whether the number means seconds or
/// milliseconds.
pub fn epoch(number: u64, now: Timestamp) -> Option<Duration> {
    const SMALLEST_MS: u64 = 100_000_000_000;
    let ms = if number < SMALLEST_MS { number.saturating_mul(1_000) } else { number };
    until(Timestamp::from_unix_ms(ms), now)
}

/// Parses a duration with units, as Go and protobuf write it: `6m0s`, `88ms`, `1m0.052s`, `3.299376739s`.
pub fn duration(text: &str) -> Option<Duration> {
    believable(length(text)?)
}

/// Parses a duration like [`duration`], but accepts zero (a bucket that is full now) and has no upper bound.
pub(crate) fn length(text: &str) -> Option<Duration> {
    short_length(text).or_else(|| Duration::try_from(text.parse::<SignedDuration>().ok()?).ok())
}

/// Parses whole seconds or milliseconds, which most limits have: `0s`, `88ms`. Costs a tenth of the parser of all units.
fn short_length(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('s')?;
    let (number, is_milliseconds) = text.strip_suffix('m').map_or((text, false), |number| (number, true));
    let is_short = number.len() <= 9 && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_short)?;
    Some(if is_milliseconds { Duration::from_millis(number) } else { Duration::from_secs(number) })
}

fn until(at: Timestamp, now: Timestamp) -> Option<Duration> {
    believable(at.saturating_since(now))
}

fn believable(wait: Duration) -> Option<Duration> {
    (!wait.is_zero() && wait <= MAX_HINT).then_some(wait)
}
