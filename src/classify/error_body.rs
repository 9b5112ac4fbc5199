//! One view of the many shapes in which providers report an error.
//!
//! `error` is an object (OpenAI, Anthropic), a string (xAI, Hugging Face), inside an array (Google), missing
//! around a flat object (Cerebras, Mistral, Cohere, Bedrock), called `detail` (Voyage), a problem document
//! (Cloudflare), JSON inside a JSON string (OpenRouter's `metadata.raw`) or inside a message (relays), preceded
//! by blank lines or comments, or no JSON at all.
//!
//! The view offers two things: the *names* that the body uses (codes, types, reasons; matched exactly), and
//! its *message* (matched as words, in lower case). Names inside a message are those of a provider behind the
//! provider, and are kept apart.
//!
//! An error document in XML is a text: its message is that of its elements. An HTML body has neither names nor a message. It is classified by its status alone, since its words are
//! those of a proxy. A plain text has a message and no names.

use serde_json::Value;

use crate::body::json;
use crate::body::sse::{BYTE_ORDER_MARK, Decoder};
use crate::classify::meaning::text::statement;
use crate::classify::{wrapped, xml};
use crate::text::find::contains;

/// The kind of document that a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Empty,
    Html,
    Json,
    Text,
}

/// A parsed error body, whatever shape the provider gave it.
///
/// ```
/// use tower_key_rotation::classify::ErrorBody;
///
/// let body = ErrorBody::parse(br#"[{"error":{"status":"RESOURCE_EXHAUSTED","message":"Slow down."}}]"#);
/// assert!(body.is_named("resource_exhausted"));
/// assert!(body.says("slow down"));
/// assert_eq!(body.message(), "Slow down.");
/// ```
#[derive(Debug)]
pub struct ErrorBody {
    shape: Shape,
    root: Value,
    names: Vec<String>,
    /// Names of a document inside a message.
    wrapped: Vec<String>,
    message: String,
    words: String,
}

/// Members that hold a code, a type or a reason.
const NAME_FIELDS: [&str; 12] = [
    "Code",
    "code",
    "type",
    "status",
    "error_type",
    "error_code",
    "reason",
    "limit_source",
    "status_code",
    "http_code",
    "__type",
    "errorCode",
];

/// Members that hold a sentence.
const MESSAGE_FIELDS: [&str; 14] = [
    "message",
    "Message",
    "msg",
    "status_msg",
    "error_msg",
    "detail",
    "error",
    "raw",
    "error_message",
    "errorMessage",
    "errmsg",
    "error_description",
    "description",
    "title",
];

/// JSON pointers to parts that have names and messages of their own.
const PARTS: [&str; 9] = [
    "/error",
    "/response/error",
    "/choices/0/error",
    "/errors",
    "/base_resp",
    "/detail",
    "/metadata",
    "/Response/Error",
    "/data/error",
];

/// Maximum depth at which JSON inside JSON strings and nested errors are followed.
const MAX_DEPTH: usize = 3;

// === impl ErrorBody ===

impl ErrorBody {
    /// Parses a body. Anything can be parsed: a body that is no JSON has a message and no names, and an HTML
    /// page has neither.
    pub fn parse(body: &[u8]) -> Self {
        let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii();
        match text.first() {
            None => Self::opaque(Shape::Empty, String::new()),
            Some(b'<') => match xml::error_text(text) {
                Some(message) => Self::opaque(Shape::Text, message),
                None => Self::opaque(Shape::Html, String::new()),
            },
            Some(b'{' | b'[' | b'"') => Self::json(text),
            Some(b':' | b'd' | b'e' | b'i') => Self::events(text).unwrap_or_else(|| Self::text(text)),
            Some(_) => Self::text(text),
        }
    }

    pub(crate) const fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns the whole document; `null` if the body is not JSON.
    pub(crate) const fn root(&self) -> &Value {
        &self.root
    }

    /// Returns the provider's messages as they were sent, one a line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the codes, types and reasons of the error, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Returns the names of a document inside the message, which are those of a provider behind the provider.
    pub(crate) fn wrapped_names(&self) -> impl Iterator<Item = &str> {
        self.wrapped.iter().map(String::as_str)
    }

    /// Returns whether a code, type or reason is `name`, in any case.
    pub fn is_named(&self, name: &str) -> bool {
        self.names.iter().any(|have| have.eq_ignore_ascii_case(name))
    }

    /// Adds a name that came in a header.
    pub(crate) fn add_name(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    /// Returns whether the message contains `words`, which must be in lower case. Text in quotation marks and
    /// addresses do not count: they repeat the request or name a page.
    pub fn says(&self, words: &str) -> bool {
        contains(&self.words, words)
    }

    /// Returns a member of the document by its JSON pointer, which has no escapes. For an array, the pointer
    /// starts at its first element.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        at(first_of(&self.root), pointer)
    }

    /// Returns the error status that the body itself states, alone or before a dot: `429`, `429.1302`. Inside a
    /// 200 it is the only one.
    pub fn claimed_status(&self) -> Option<u16> {
        let number = |name: &String| name.split('.').next()?.parse().ok();
        self.names.iter().filter_map(number).find(|status| (400..600).contains(status))
    }

    fn opaque(shape: Shape, message: String) -> Self {
        let words = statement(&message).to_ascii_lowercase();
        Self { shape, root: Value::Null, names: Vec::new(), wrapped: Vec::new(), words, message }
    }

    fn text(text: &[u8]) -> Self {
        Self::opaque(Shape::Text, String::from_utf8_lossy(text).into_owned())
    }

    fn json(text: &[u8]) -> Self {
        let root = serde_json::Deserializer::from_slice(text).into_iter::<Value>().next();
        let root = root.and_then(Result::ok).or_else(|| json::parse(text).filter(|root| !root.is_null()));
        let Some(mut root) = root else {
            // The JSON is cut off: its structure is lost, its words are still the provider's. Its own quotation
            // marks quote nothing.
            let view = Self::text(text);
            return Self { shape: Shape::Json, words: view.message.to_ascii_lowercase(), ..view };
        };
        for _ in 0..MAX_DEPTH {
            let Some(inner) = root.as_str().and_then(|inner| serde_json::from_str(inner).ok()) else { break };
            root = inner;
        }
        if let Value::String(message) = root {
            return Self { shape: Shape::Json, ..Self::opaque(Shape::Text, message) };
        }
        let mut view = Self::opaque(Shape::Json, String::new());
        view.collect(first_of(&root), 0);
        view.words = statement(&view.message).to_ascii_lowercase();
        view.root = root;
        view
    }

    fn events(text: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new();
        decoder.push(bytes::Bytes::copy_from_slice(text));
        let event = decoder.next_event().ok()?.or_else(|| decoder.finish())?;
        let data = event.data().trim_ascii();
        let mut body = data.starts_with(b"{").then(|| Self::json(data))?;
        body.names.extend(event.status().map(|status| status.to_string()));
        Some(body)
    }

    fn collect(&mut self, holder: &Value, depth: usize) {
        self.names.extend(NAME_FIELDS.iter().filter_map(|field| name(holder.get(field)?)));
        if let Some(message) = MESSAGE_FIELDS.iter().find_map(|field| holder.get(field)?.as_str()) {
            self.say(message, depth);
        }
        if depth >= MAX_DEPTH {
            return;
        }
        for part in PARTS {
            if let Some(part) = at(holder, part).filter(|part| part.is_object() || part.is_array()) {
                self.collect(first_of(part), depth + 1);
            }
        }
        for detail in holder.get("details").map(listed).unwrap_or_default() {
            self.names.extend(["reason", "error_code"].iter().filter_map(|field| name(detail.get(field)?)));
        }
    }

    /// Adds a message. A message that is itself JSON is parsed instead.
    fn say(&mut self, message: &str, depth: usize) {
        let inner = message.trim_start().starts_with(['{', '[']) && depth < MAX_DEPTH;
        if let Some(inner) = inner.then(|| serde_json::from_str::<Value>(message).ok()).flatten() {
            self.collect(first_of(&inner), depth + 1);
            return;
        }
        if depth < MAX_DEPTH
            && let Some((before, inner)) = wrapped::split(message)
        {
            self.add_line(before);
            let mut behind = Self::opaque(Shape::Json, String::new());
            behind.collect(first_of(&inner), depth + 1);
            self.wrapped.extend(behind.names.into_iter().chain(behind.wrapped));
            self.add_line(&behind.message);
            return;
        }
        self.add_line(message);
    }

    fn add_line(&mut self, line: &str) {
        if !self.message.is_empty() {
            self.message.push('\n');
        }
        self.message.push_str(line);
    }
}

fn name(value: &Value) -> Option<String> {
    match value {
        Value::String(name) if !name.is_empty() => Some(name.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    }
}

/// Returns a member by a JSON pointer without escapes. (Those of `Value::pointer` cost an allocation a name.)
fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').skip(1).try_fold(value, |value, name| match value {
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        value => value.get(name),
    })
}

/// Returns the first element of an array: Google wraps the errors of streaming methods into one.
fn first_of(value: &Value) -> &Value {
    value.get(0).unwrap_or(value)
}

fn listed(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => &[],
    }
}
