//! Time zones, which decide when a daily quota resets.

use std::fmt;

use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// A time zone, at whose midnight a daily quota resets.
///
/// Parses from `utc`, `pacific` (both in any case), or a POSIX rule.
///
/// ```
/// use tower_key_rotation::limits::Zone;
///
/// let berlin: Zone = "CET-1CEST,M3.5.0,M10.5.0/3".parse()?;
/// assert_ne!(berlin, Zone::utc());
/// # Ok::<(), tower_key_rotation::limits::InvalidZone>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// An error from parsing a [`Zone`]: the text names no time zone.
#[derive(Clone, Debug, thiserror::Error)]
#[error("not a time zone: write `utc`, `pacific`, or a POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`")]
pub struct InvalidZone(#[source] jiff::Error);

/// US Pacific time under the present federal law, as a POSIX rule. Needs no time zone database.
const PACIFIC: &str = "PST8PDT,M3.2.0,M11.1.0";

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

// === impl Zone ===

impl Zone {
    /// Returns Coordinated Universal Time.
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Returns US Pacific time, at whose midnight Gemini's daily quotas reset
    /// (`ai.google.dev/gemini-api/docs/rate-limits`).
    pub fn pacific() -> Self {
        Self(TimeZone::posix(PACIFIC).unwrap_or(TimeZone::UTC))
    }

    /// Returns the first midnight after a moment. It is 23, 24, or 25 hours after the midnight before. A
    /// moment that the calendar can't express gets a day of 24 hours.
    pub fn next_midnight(&self, after: Timestamp) -> Timestamp {
        let ms = i64::try_from(after.as_unix_ms()).ok().and_then(|ms| self.midnight_after(ms).ok());
        // The fallback for times outside the calendar is a day of 24 hours.
        let ms = ms.and_then(|ms| u64::try_from(ms).ok());
        Timestamp::from_unix_ms(ms.unwrap_or_else(|| after.as_unix_ms().saturating_add(DAY_MS)))
    }

    fn midnight_after(&self, ms: i64) -> Result<i64, jiff::Error> {
        let here = jiff::Timestamp::from_millisecond(ms)?.to_zoned(self.0.clone());
        Ok(here.tomorrow()?.start_of_day()?.timestamp().as_millisecond())
    }
}

impl std::str::FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, InvalidZone> {
        match text.trim() {
            name if name.eq_ignore_ascii_case("utc") => Ok(Self::utc()),
            name if name.eq_ignore_ascii_case("pacific") => Ok(Self::pacific()),
            rule => TimeZone::posix(rule).map(Self).map_err(InvalidZone),
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            zone if *zone == Self::utc() => f.write_str("utc"),
            zone if *zone == Self::pacific() => f.write_str("pacific"),
            Self(zone) => fmt::Debug::fmt(zone, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let ms = text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        Timestamp::from_unix_ms(ms.try_into().unwrap())
    }

    #[test]
    fn a_pacific_day_has_as_many_hours_as_the_law_says() {
        for (begins, ends) in [
            ("2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"),
            ("2026-03-09T07:00:00Z", "2026-03-10T07:00:00Z"),
            ("2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
            ("2026-11-02T07:59:59Z", "2026-11-02T08:00:00Z"),
            ("2026-11-22T18:00:00Z", "2026-11-23T08:00:00Z"),
        ] {
            assert_eq!(Zone::pacific().next_midnight(at(begins)), at(ends), "{begins}");
        }
    }

    #[test]
    fn zones_are_named_or_ruled() {
        assert_eq!("UTC".parse::<Zone>().unwrap(), Zone::utc());
        assert_eq!("pacific".parse::<Zone>().unwrap(), Zone::pacific());
        let berlin: Zone = "CET-1CEST,M3.5.0,M10.5.0/3".parse().unwrap();
        assert_eq!(berlin.next_midnight(at("2026-07-01T12:00:00Z")), at("2026-07-01T22:00:00Z"));
        assert!("Mars/Olympus".parse::<Zone>().is_err());
    }

    #[test]
    fn a_time_that_no_calendar_has_still_ends() {
        assert!(Zone::pacific().next_midnight(Timestamp::NEVER) == Timestamp::NEVER);
        assert!(Zone::utc().next_midnight(Timestamp::from_unix_ms(u64::MAX / 2)) > Timestamp::EPOCH);
    }
}
