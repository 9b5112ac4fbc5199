//! Waits in Chinese sentences: `将在 2026-08-25 07:41:44 重置`, `请 30 秒后重试`, `预计 3 小时后恢复`.

use std::time::Duration;

use crate::classify::hints::{calendar, duration, span, until};
use crate::clock::Timestamp;

/// Verbs of sentences that name a wait.
const VERBS: [&str; 12] =
    ["重置", "恢复", "刷新", "重试", "再试", "解除", "解封", "可用", "等待", "再次", "更新", "重新"];

/// Words behind a duration that make it a wait.
const AFTER: [&str; 4] = ["后", "之后", "以后", "秒后"];

const UNITS: [(&str, &str); 12] = [
    ("个月", "mo"),
    ("小时", "h"),
    ("分钟", "m"),
    ("星期", "w"),
    ("毫秒", "ms"),
    ("分", "m"),
    ("秒钟", "s"),
    ("秒", "s"),
    ("天", "d"),
    ("日", "d"),
    ("周", "w"),
    ("时", "h"),
];

/// China's offset from UTC, in hours.
const CHINA: i8 = 8;

/// Returns the wait in a text.
pub(super) fn sentence(text: &str, now: Timestamp) -> Option<Duration> {
    text.split(['。', '；', '\n', '！']).filter(|part| VERBS.iter().any(|verb| part.contains(verb))).find_map(
        |part| {
            let numbers = part.match_indices(|letter: char| letter.is_ascii_digit()).map(|(at, _)| at);
            let starts = numbers.filter(|at| !part[..*at].ends_with(|letter: char| letter.is_ascii_digit()));
            starts.map(|at| &part[at..]).find_map(|rest| wait(rest, now))
        },
    )
}

fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let point = calendar::leading(text, now, CHINA).and_then(|at| until(at, now));
    point.or_else(|| length(text, now))
}

/// Returns the duration at the beginning of a text, if it is a wait.
fn length(text: &str, now: Timestamp) -> Option<Duration> {
    let (mut rest, mut phrase) = (text, String::new());
    loop {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(end);
        let behind = behind.trim_start();
        let unit = UNITS.iter().find_map(|(unit, short)| Some((behind.strip_prefix(unit)?, short)));
        let Some((behind, short)) = unit.filter(|_| !number.is_empty()) else { break };
        phrase.extend([number, short, " "]);
        rest = behind.trim_start();
    }
    let is_wait = AFTER.iter().any(|word| rest.starts_with(word));
    is_wait.then(|| span::leading(&phrase, now).or_else(|| duration(&phrase)))?
}
