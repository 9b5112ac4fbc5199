//! Forms with files: `multipart/form-data`.

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Map, Value};

/// The file of a form.
#[derive(Debug)]
pub(crate) struct FormFile {
    pub(crate) name: String,
    /// Media type of the content; empty if the form states none.
    pub(crate) kind: String,
    pub(crate) content: Bytes,
}

/// Reads a form. Returns its text fields as a JSON object, and its first file. `None` if the content type is
/// not that of a form.
pub(super) fn read(content_type: &str, body: &Bytes) -> Option<(Value, Option<FormFile>)> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary")?;
    let (mut fields, mut file) = (Map::new(), None);
    for part in parts(body, &boundary) {
        let Some(end) = memmem::find(&part, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(part.get(..end).unwrap_or_default()).into_owned();
        let content = part.slice(end + 4..);
        let field = |name: &str| head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
        let Some(line) = field("content-disposition:") else { continue };
        let kind = field("content-type:").and_then(|line| line.split_once(':'));
        let kind = kind.map_or_else(String::new, |(_, kind)| kind.trim().to_owned());
        match (parameter(line, "filename"), parameter(line, "name")) {
            (Some(name), _) => _ = file.get_or_insert(FormFile { name, kind, content }),
            (None, Some(name)) => {
                fields.insert(name, String::from_utf8_lossy(&content).into_owned().into());
            }
            (None, None) => {}
        }
    }
    Some((fields.into(), file))
}

/// Returns the parts between boundaries, each with its head.
fn parts(body: &Bytes, boundary: &str) -> Vec<Bytes> {
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter needs no line break.
    let first = body.starts_with(delimiter.trim_start().as_bytes()).then_some((0, delimiter.len() - 2));
    let others = memmem::find_iter(body, delimiter.as_bytes()).map(|at| (at, at + delimiter.len()));
    let ends_line = |(_, end): &(usize, usize)| {
        body.get(*end..).is_some_and(|rest| rest.starts_with(b"\r\n") || rest.starts_with(b"--"))
    };
    let found: Vec<(usize, usize)> = first.into_iter().chain(others).filter(ends_line).collect();
    let between = found.windows(2).filter_map(|pair| match pair {
        [(_, start), (end, _)] if start + 2 <= *end => Some(body.slice(start + 2..*end)),
        _ => None,
    });
    between.collect()
}

/// Returns a parameter of a header value, with or without quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    let found = value.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })?;
    Some(found.trim_matches('"').to_owned())
}
