//! Strings that match a regular expression.

use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind, Repetition};

/// Returns a string of `least` to `most` characters that matches `pattern`. `None` if there is none of that
/// length, or if the pattern has what Rust's expressions lack, such as looking ahead.
pub(super) fn matching(pattern: &str, least: usize, most: usize, nth: usize) -> Option<String> {
    let hir = regex_syntax::Parser::new().parse(pattern).ok()?;
    let mut shortest = String::new();
    // The number of repetitions grows until the text is long enough.
    let mut more = 0;
    while more <= least.saturating_add(1) {
        let mut out = String::new();
        write(&hir, more, nth, &mut out);
        let length = out.chars().count();
        if length > most {
            break;
        }
        shortest = out;
        if length >= least {
            return Some(shortest);
        }
        more += 1;
    }
    let missing = least.saturating_sub(shortest.chars().count());
    let padded = if pattern.ends_with('$') { shortest } else { shortest + &"x".repeat(missing) };
    (padded.chars().count() >= least && padded.chars().count() <= most).then_some(padded)
}

/// Adds a text that matches `hir`. Repetitions occur `more` times beyond their minimum, as far as they may.
fn write(hir: &Hir, more: usize, nth: usize, out: &mut String) {
    match hir.kind() {
        HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(class) => out.extend(character(class, nth)),
        HirKind::Repetition(repetition) => {
            for _ in 0..times(repetition, more) {
                write(&repetition.sub, more, nth, out);
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, more, nth, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, more, nth, out)),
        HirKind::Alternation(parts) => {
            if let Some(part) = parts.get(nth % parts.len().max(1)) {
                write(part, more, nth, out);
            }
        }
        HirKind::Empty | HirKind::Look(_) => {}
    }
}

fn times(repetition: &Repetition, more: usize) -> usize {
    let most = repetition.max.map_or(usize::MAX, |max| max as usize);
    (repetition.min as usize).saturating_add(more).min(most)
}

/// Returns a character of a class: a letter or a digit if it has one.
fn character(class: &Class, nth: usize) -> Option<char> {
    let Class::Unicode(class) = class else { return Some('a') };
    let has = |wanted: &char| class.iter().any(|range| (range.start()..=range.end()).contains(wanted));
    let plain: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').filter(has).collect();
    let any = || class.iter().next().map(ClassUnicodeRange::start);
    plain.get(nth % plain.len().max(1)).copied().or_else(any)
}
