//! Calling a model by another name, and touching nothing else.
//!
//! A request is not parsed and written again: another writer's numbers, escapes and order of members are not
//! the caller's, and prompt caches go by bytes. What is found is the *place* of the name, and only that is
//! replaced. In a JSON document the place is the value of the top-level member `model`, found by a visitor
//! that skips all else unread and asks serde_json for the raw text of the value; what is nested or quoted is
//! no member of the top level, and a member whose name is written with escapes is one. Parsers differ on
//! which of two members with one name counts, so all of them are replaced, by what the last one is called here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::body::ReplayBody;
use crate::fallback::{ProviderPin, Unroutable};
use crate::provider::{ModelId, ModelPath, decoded, each_model, models_in_form};

/// What a provider calls the models that callers name.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) by_caller: BTreeMap<ModelId, ModelId>,
    /// For any other.
    pub(super) any: Option<ModelId>,
    /// A model without a name is not served.
    pub(super) strict: bool,
}

/// Where a body names its model.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Form,
    /// Nowhere that can be read.
    Opaque,
}

/// The names of a model in a body: where they stand, and the last of them, if it is the name of a model.
#[derive(Default)]
struct Named {
    spans: Vec<Range<usize>>,
    name: Option<ModelId>,
}

/// What a request says of its model.
#[derive(Clone, Copy)]
enum Found<'a> {
    Nothing,
    /// A name that is none of a model.
    NoModel,
    Model(&'a ModelId),
}

/// What is not true any more of a body that was changed.
const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// What stands for itself in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

// === impl Names ===

impl Names {
    /// The provider's name for a model, if it is another. The name for any model is none for a request that is
    /// `pinned` to the link: its caller asks for a model of this provider.
    fn of(&self, caller: &ModelId, pinned: bool) -> Result<Option<&ModelId>, Unroutable> {
        let named = self.by_caller.get(caller);
        match named.or(self.any.as_ref()) {
            Some(_) if pinned && named.is_none() => Ok(None),
            Some(name) => Ok(Some(name).filter(|name| *name != caller)),
            None if self.strict => Err(Unroutable::NoModel),
            None => Ok(None),
        }
    }

    /// Whether it matters which model a request names.
    pub(super) fn matter(&self) -> bool {
        self.strict || self.any.is_some() || !self.by_caller.is_empty()
    }

    /// Renames the model of a request; `model` is what its caller calls it, where that is known.
    ///
    /// Gives the body to send: the same, shared, if its bytes stay.
    pub(super) async fn apply(
        &self,
        parts: &mut Parts,
        body: &ReplayBody,
        model: Option<&ModelId>,
    ) -> Result<ReplayBody, Unroutable> {
        let pinned = parts.extensions.get::<ProviderPin>().is_some();
        if let Some(model) = model
            && self.of(model, pinned)?.is_none()
        {
            return Ok(body.clone());
        }
        if let Some(encoded) = in_path(parts) {
            if let Some(name) = self.choose(model, Found::named(decoded(encoded).as_ref()), pinned)? {
                parts.uri = with_path_part(&parts.uri, encoded, name)?;
                parts.extensions.insert(name.clone());
            }
            return Ok(body.clone());
        }
        let format = Format::of(&parts.headers);
        if format == Format::Opaque || body.is_end_stream() {
            return if model.is_some() { Err(Unroutable::NotFound) } else { Ok(body.clone()) };
        }
        let all = body.gather().await.ok_or(Unroutable::NotReplayable)?;
        let named = format.find(&parts.headers, &all);
        let Some(name) = self.choose(model, named.found(), pinned)? else { return Ok(body.clone()) };
        if named.spans.is_empty() {
            return Err(Unroutable::NotFound);
        }
        let changed = splice(&all, &named.spans, format.write(name).as_bytes());
        describe(&mut parts.headers, changed.len());
        parts.extensions.insert(name.clone());
        Ok(ReplayBody::from(changed))
    }

    /// The new name: for what the caller said, else for what was found. What was found may be no name of a model.
    fn choose(
        &self,
        said: Option<&ModelId>,
        found: Found<'_>,
        pinned: bool,
    ) -> Result<Option<&ModelId>, Unroutable> {
        match (said, found) {
            (Some(model), _) | (None, Found::Model(model)) => self.of(model, pinned),
            (None, Found::NoModel) if self.strict && self.any.is_none() => Err(Unroutable::NoModel),
            (None, Found::NoModel) => Ok(self.any.as_ref().filter(|_| !pinned)),
            (None, Found::Nothing) => Ok(None),
        }
    }
}

impl Named {
    fn found(&self) -> Found<'_> {
        if self.spans.is_empty() { Found::Nothing } else { Found::named(self.name.as_ref()) }
    }
}

impl<'a> Found<'a> {
    fn named(name: Option<&'a ModelId>) -> Self {
        name.map_or(Self::NoModel, Self::Model)
    }
}

/// Makes the headers true of a body that was changed.
fn describe(headers: &mut HeaderMap, len: usize) {
    if let Some(present) = headers.get_mut(CONTENT_LENGTH) {
        *present = HeaderValue::from(len);
    }
    for digest in DIGESTS {
        headers.remove(digest);
    }
}

fn splice(all: &[u8], spans: &[Range<usize>], new: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(all.len() + spans.len() * new.len());
    let mut done = 0;
    for span in spans {
        out.extend_from_slice(&all[done..span.start]);
        out.extend_from_slice(new);
        done = span.end;
    }
    out.extend_from_slice(&all[done..]);
    out.freeze()
}

/// Where a slice lies in the whole that it was taken of.
fn span_of(whole: &[u8], part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

// === paths ===

/// The model in the path of a call, as it is written there. (A path that is looked up names no model that is
/// called: `GET /v1/models/ft:gpt-4o:me`.)
fn in_path(parts: &Parts) -> Option<&str> {
    let path = parts.uri.path();
    ModelPath::ALL.into_iter().filter(|_| parts.method == Method::POST).find_map(|place| place.encoded(path))
}

fn with_path_part(uri: &Uri, encoded: &str, name: &ModelId) -> Result<Uri, Unroutable> {
    let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let span = span_of(whole.as_bytes(), encoded);
    // Only Cloudflare's names have slashes that are slashes of the path.
    let slashes = whole[..span.start].ends_with("/ai/run/");
    let segments = name.as_str().split(if slashes { '/' } else { '\0' });
    let name: Vec<Cow<'_, str>> = segments.map(|part| utf8_percent_encode(part, SEGMENT).into()).collect();
    let path = format!("{}{}{}", &whole[..span.start], name.join("/"), &whole[span.end..]);
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().map_err(|_| Unroutable::Url)?);
    Uri::from_parts(parts).map_err(|_| Unroutable::Url)
}

// === impl Format ===

impl Format {
    fn of(headers: &HeaderMap) -> Self {
        if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Self::Opaque;
        }
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.trim_start().to_ascii_lowercase();
        let opaque = ["audio/", "image/", "video/", "application/octet-stream"];
        if kind.starts_with("multipart/form-data") {
            Self::Form
        } else if opaque.iter().any(|opaque| kind.starts_with(opaque)) {
            Self::Opaque
        } else {
            Self::Json
        }
    }

    fn find(self, headers: &HeaderMap, all: &[u8]) -> Named {
        match self {
            Self::Json => in_json(all),
            Self::Form => in_form(headers, all),
            Self::Opaque => Named::default(),
        }
    }

    fn write(self, name: &ModelId) -> String {
        match self {
            Self::Json => Value::from(name.as_str()).to_string(),
            Self::Form | Self::Opaque => name.as_str().to_owned(),
        }
    }
}

// === bodies ===

fn in_json(document: &[u8]) -> Named {
    let mut values: Vec<&str> = Vec::new();
    // A document that is broken further down is the caller's fault, and for the provider to refuse.
    each_model(document, |value| values.extend(value.starts_with('"').then_some(value)));
    let name = values.last().and_then(|value| serde_json::from_str::<String>(value).ok());
    named(document, &values, name.as_deref())
}

fn in_form(headers: &HeaderMap, body: &[u8]) -> Named {
    let values =
        headers.get(CONTENT_TYPE).and_then(|form| models_in_form(form.as_bytes(), body)).unwrap_or_default();
    named(body, &values, values.last().copied())
}

fn named(all: &[u8], values: &[&str], name: Option<&str>) -> Named {
    let spans = values.iter().map(|value| span_of(all, value)).collect();
    Named { spans, name: name.and_then(ModelId::new) }
}
