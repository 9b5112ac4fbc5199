//! Patterns in which a `*` stands for any text.

/// Returns whether the pattern matches the whole text. Case is ignored in ASCII letters.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = strip(text, first) else { return false };
    let Some(mut last) = parts.next() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = find(rest, last) else { return false };
        rest = &rest[at + last.len()..];
        last = part;
    }
    rest.len() >= last.len()
        && rest.as_bytes()[rest.len() - last.len()..].eq_ignore_ascii_case(last.as_bytes())
}

/// Returns whether a path matches a pattern, or is that path or lies below it.
pub(crate) fn covers(pattern: &str, path: &str) -> bool {
    if pattern.contains('*') {
        return matches(pattern, path);
    }
    let below = strip(path, pattern.trim_end_matches('/'));
    below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

/// Returns the text behind a prefix.
pub(crate) fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix)).map(|_| &text[prefix.len()..])
}

fn find(text: &str, part: &str) -> Option<usize> {
    (0..=text.len()).find(|at| text.get(*at..).is_some_and(|rest| strip(rest, part).is_some()))
}
