//! The field `model` of a multipart form.

use memchr::memmem;

pub(crate) fn is_form(content_type: &[u8]) -> bool {
    const FORM: &[u8] = b"multipart/form-data";
    let start = content_type.trim_ascii_start().get(..FORM.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(FORM))
}

/// Returns the values of all fields named `model`, each a slice of `body`; `None` if the form cannot be
/// parsed. Of a form that is cut off, the complete fields are returned.
pub(crate) fn models<'a>(content_type: &[u8], body: &'a [u8]) -> Option<Vec<&'a str>> {
    let boundary =
        parameter(std::str::from_utf8(content_type).ok().filter(|text| text.is_ascii())?, "boundary")?;
    let delimiter = format!("\r\n--{boundary}");
    let mut names = Vec::new();
    let mut rest = after_preamble(body, &delimiter)?;
    // A delimiter is followed by the rest of its line, the part's head, an empty line, and the value up to
    // the next delimiter.
    while !rest.starts_with(b"--") {
        let Some(end) = memmem::find(rest, delimiter.as_bytes()) else { break };
        let (head, value) = split_at(&rest[..end], b"\r\n\r\n").unwrap_or((&rest[..end], b""));
        if is_model(head) {
            names.push(std::str::from_utf8(value).ok()?.trim());
        }
        rest = &rest[end + delimiter.len()..];
    }
    Some(names)
}

/// Returns the text behind the first delimiter, with which the body may begin.
fn after_preamble<'a>(body: &'a [u8], delimiter: &str) -> Option<&'a [u8]> {
    let first = delimiter.trim_start().as_bytes();
    body.strip_prefix(first).or_else(|| Some(split_at(body, delimiter.as_bytes())?.1))
}

fn split_at<'a>(text: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::find(text, by)?;
    Some((&text[..at], &text[at + by.len()..]))
}

/// Returns whether the head of a part gives it the name `model`.
fn is_model(head: &[u8]) -> bool {
    const DISPOSITION: &str = "content-disposition:";
    let Ok(head) = std::str::from_utf8(head) else { return false };
    head.split("\r\n").any(|line| {
        let is_disposition =
            line.get(..DISPOSITION.len()).is_some_and(|start| start.eq_ignore_ascii_case(DISPOSITION));
        is_disposition && parameter(line, "name").as_deref() == Some("model")
    })
}

/// Returns a parameter of a header's value: a token, or a quoted string in which a backslash quotes the next
/// character.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (found, after) = argument(after.trim_start());
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(found);
        }
        rest = after.split_once(';')?.1;
    }
}

/// Splits the text behind a `=` into the argument and the rest.
fn argument(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let (mut found, mut characters) = (String::new(), quoted.chars());
    while let Some(next) = characters.next() {
        match next {
            '"' => break,
            '\\' => found.extend(characters.next()),
            other => found.push(other),
        }
    }
    (found, characters.as_str())
}
