//! A recorded response, and its form as a JSON object.

use std::time::SystemTime;

use bytes::Bytes;
use http::response::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value};
use tower_key_rotation::clock::Timestamp;

/// A recorded response.
pub(super) struct Record {
    /// Name of the response in the output.
    pub(super) id: String,
    pub(super) provider: Option<String>,
    pub(super) path: Option<PathAndQuery>,
    pub(super) head: Parts,
    pub(super) body: Bytes,
    /// Time at which it came. `None` is the time of its `date` header, or now.
    pub(super) now: Option<Timestamp>,
}

// === impl Record ===

impl Record {
    pub(super) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = status;
        head.headers = headers;
        Self { id: String::new(), provider: None, path: None, head, body, now: None }
    }

    /// Parses a response from a JSON object.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let object: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| format!("column {}: not a JSON object", error.column()))?;
        let text = |name: &str| match object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("`{name}` is not a text")),
        };
        let body = match object.get("body") {
            None | Some(Value::Null) => Bytes::new(),
            Some(Value::String(text)) => Bytes::copy_from_slice(text.as_bytes()),
            Some(json) => Bytes::from(json.to_string()),
        };
        let mut record = Self::new(status(object.get("status"))?, headers(object.get("headers"))?, body);
        record.provider = text("provider")?.map(str::to_owned);
        let path = |path: &str| path.parse().map_err(|_| "`path` is not a path".to_owned());
        record.path = text("path")?.map(path).transpose()?;
        record.now = text("now")?.map(time).transpose()?;
        record.id = match object.get("id") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(id)) => id.clone(),
            Some(id) => id.to_string(),
        };
        Ok(record)
    }

    /// Names the response by its line, unless it has a name.
    pub(super) fn at_line(mut self, line: usize) -> Self {
        if self.id.is_empty() {
            self.id = format!("line {line}");
        }
        self
    }
}

fn status(value: Option<&Value>) -> Result<StatusCode, String> {
    let value = value.ok_or("`status` is missing")?;
    let code = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    let code = code.and_then(|code| StatusCode::from_u16(code.try_into().ok()?).ok());
    code.ok_or_else(|| "`status` is not a number from 100 to 999".to_owned())
}

fn headers(value: Option<&Value>) -> Result<HeaderMap, String> {
    let named = match value {
        None | Some(Value::Null) => return Ok(HeaderMap::new()),
        Some(value) => value.as_object().ok_or("`headers` is not an object")?,
    };
    let mut headers = HeaderMap::new();
    for (name, value) in named {
        let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            append(&mut headers, name.as_bytes(), text.as_bytes())?;
        }
    }
    Ok(headers)
}

/// Adds a header.
pub(super) fn append(headers: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), String> {
    let name = HeaderName::from_bytes(name).map_err(|_| "not the name of a header".to_owned())?;
    let value = HeaderValue::from_bytes(value).map_err(|_| format!("the value of {name} is not valid"))?;
    headers.try_append(name, value).map_err(|_| "too many headers".to_owned())?;
    Ok(())
}

fn time(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp =
        text.parse().map_err(|_| "`now` is not a time: write 2026-03-31T00:00:00Z".to_owned())?;
    Ok(Timestamp::from(SystemTime::from(time)))
}
