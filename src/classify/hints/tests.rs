//! Hints in headers, numbers and sentences.

use http::HeaderValue;

use crate::classify::hints::*;

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
        assert_eq!(sentence(text, NOW, 0), expected, "{text}");
    }
}

/// The clock is 2026-03-31T00:00:00Z, a Tuesday.
#[test]
fn durations_in_sentences() {
    const HOUR: u64 = 3_600_000;
    for (text, expected) in [
        ("Weekly usage limit reached. Resets in 2 days.", ms(48 * HOUR)),
        ("resets in 6d 2hr", ms(146 * HOUR)),
        ("Resets in 4hr 59min.", ms(5 * HOUR - 60_000)),
        ("Quota will be replenished in 22.14:18:12.", ms(1_952_292_000)),
        ("Try again in 14:18:12", ms(51_492_000)),
        ("Try again in 1 week, 2 days and 3 hours.", ms(219 * HOUR)),
        ("Limit resets in 2 weeks", ms(14 * 24 * HOUR)),
        ("Please try again in an hour.", ms(HOUR)),
        ("Your allowance renews in 1 month.", ms(30 * 24 * HOUR)),
        ("Please wait at least 30 second(s)", ms(30_000)),
        ("You will be able to try your request again in 5 minutes.", ms(300_000)),
        ("Next reset: 3h 5m", ms(11_100_000)),
        ("The limit resets every 5 hours.", None),
        ("Your quota will reset when the current 7-day window ends.", None),
        ("Rate limit of 10 per 60s. Please wait.", None),
        ("try again with fewer than 4096 tokens", None),
        ("Available in 5 regions", None),
        ("resets in 999 years", None),
        ("resets in -2 days", None),
        ("resets in 99999999999999999999 days", None),
    ] {
        assert_eq!(sentence(text, NOW, 0), expected, "{text}");
    }
}

#[test]
fn commas_separate_thousands() {
    for (text, wait) in [
        ("try again in 1,200 seconds", ms(1_200_000)),
        ("Retry after 86,400s.", ms(86_400_000)),
        ("wait 1,209,600 seconds", ms(1_209_600_000)),
        ("wait 1,5 hours", ms(5_400_000)),
        ("wait 0,250 s", ms(250)),
        ("wait 1,200, then retry", None),
        ("try again in 2 days, 3 hours", ms(183_600_000)),
    ] {
        assert_eq!(sentence(text, NOW, 0), wait, "{text}");
    }
}

#[test]
fn points_in_sentences() {
    const HOUR: u64 = 3_600_000;
    for (text, expected) in [
        ("It will reset at 2026-04-01 00:00:00 +0800 CST. We recommend", ms(16 * HOUR)),
        ("Resets at 2026-03-31T05:00:00Z", ms(5 * HOUR)),
        ("Resets at 2026-03-31T05:00:00", ms(5 * HOUR)),
        ("Resets at 2026-03-31T05:00 UTC.", ms(5 * HOUR)),
        ("Resets at 2026-03-31T05:00:00.250 PDT", ms(12 * HOUR)),
        ("Resets at 2026-03-31T05:00:00 (Europe/Berlin)", ms(3 * HOUR)),
        ("Quota resets at midnight Pacific time.", ms(7 * HOUR)),
        ("resets at midnight (UTC)", ms(24 * HOUR)),
        ("Try again after noon UTC", ms(12 * HOUR)),
        ("Try again at 1774918800", ms(HOUR)),
        ("resetAt: 1774918800000.", ms(HOUR)),
        ("Try again at 1774911600", None),
        ("Try again with request 9999999999", None),
        ("Resets at 2026-03-31T05:00:00.123+02:00.", ms(3 * HOUR + 123)),
        ("resets on 2026-04-01 at 06:30 UTC", ms(30 * HOUR + 1_800_000)),
        ("reset at 2026-03-31 12:00:00", ms(12 * HOUR)),
        ("reset at 2026-03-31 12:00:00 (UTC+8)", ms(4 * HOUR)),
        ("reset at 2026-03-31 12:00:00 UTC+08:00", ms(4 * HOUR)),
        ("reset at 2026/03/31 12:00", ms(12 * HOUR)),
        ("resets at 04-02 03:04:05 UTC", ms(51 * HOUR + 245_000)),
        ("Your limit will reset at 3pm (Europe/Berlin).", ms(13 * HOUR)),
        ("resets 10pm (America/New_York)", ms(2 * HOUR)),
        ("try again at 7:51 PM.", ms(19 * HOUR + 51 * 60_000)),
        ("or try again at Apr 1st, 2026 7:30 AM.", ms(31 * HOUR + 1_800_000)),
        ("resets at 6am PT", ms(13 * HOUR)),
        ("renews on April 2, 2026", ms(48 * HOUR)),
        ("resets Jan 1 at 00:00 UTC", ms(276 * 24 * HOUR)),
        ("Access is blocked until 2026-03-31 01:00 UTC", ms(HOUR)),
        ("reset at 2025-03-31 12:00:00", None),
        ("reset at 2026-02-30 12:00:00", None),
        ("reset at 9999-12-31 00:00:00", None),
        ("reset at 25:61", None),
    ] {
        assert_eq!(sentence(text, NOW, 0), expected, "{text}");
    }
    assert_eq!(sentence("reset at 2026-03-31 12:00:00", NOW, 8), ms(4 * HOUR), "the provider's zone");
}

#[test]
fn waits_in_chinese() {
    const HOUR: u64 = 3_600_000;
    for (text, expected) in [
        ("已达到 5 小时的使用上限。您的限额将在 2026-03-31 12:00:00 重置。", ms(4 * HOUR)),
        ("您的限额将在 3月31日 12:00 恢复", ms(4 * HOUR)),
        ("请 30 秒后重试", ms(30_000)),
        ("请在10分钟后再试", ms(600_000)),
        ("预计 3 小时 5 分钟后恢复", ms(3 * HOUR + 300_000)),
        ("额度将于2天后重置", ms(48 * HOUR)),
        ("已达到 5 小时的使用上限，请稍后重试", None),
        ("每 5 小时重置", None),
    ] {
        assert_eq!(sentence(text, NOW, 0), expected, "{text}");
    }
}

#[test]
fn waits_in_members() {
    for (document, expected) in [
        (r#"{"error":{"retry_after":30}}"#, ms(30_000)),
        (r#"{"error":{"retryAfterMs":1500}}"#, ms(1_500)),
        (r#"{"data":{"resets_in_seconds":7200}}"#, ms(7_200_000)),
        (r#"{"detail":{"reset_at":"2026-03-31T01:00:00Z"}}"#, ms(3_600_000)),
        (r#"{"error":{"resets_at":1774918800}}"#, ms(3_600_000)),
        (r#"{"error":{"metadata":{"resetTime":1774918800000}}}"#, ms(3_600_000)),
        (r#"{"errors":[{"retry_after":"1h 30m"}]}"#, ms(5_400_000)),
        (r#"{"error":{"retry_after":-5}}"#, None),
        (r#"{"error":{"retry_after":1e300}}"#, None),
        (r#"{"error":{"retry_after":null,"reset_at":false}}"#, None),
        (r#"{"a":{"b":{"c":{"d":{"e":{"f":{"retry_after":5}}}}}}}"#, None),
    ] {
        let document = serde_json::from_str(document).unwrap();
        assert_eq!(member(&document, NOW, 0), expected, "{document}");
    }
}

/// Regression test: an offset that no zone has stopped the program.
#[test]
fn absurd_offsets_do_not_panic() {
    for hours in ["-128", "127", "-26", "+15", "99999"] {
        let said = format!("your limit resets at 10:00 UTC{hours}");
        let of_dialect = sentence("your limit resets at 10:00", NOW, 0);
        assert_eq!(sentence(&said, NOW, 0), of_dialect, "{hours}: the dialect's offset counts");
    }
    for hours in [i8::MIN, -26, -15, 15, i8::MAX] {
        assert!(sentence("your limit resets at 10:00", NOW, hours).is_some(), "{hours} counts as 0");
    }
}
