//! Replacing the name of a model in a request, and nothing else.
//!
//! A request is not parsed and serialized again: that would change numbers, escapes and the order of members, and
//! prompt caches compare bytes. Instead the *place* of the name is [found](search_stored), and only that is replaced. In
//! a JSON document the place is the value of the top-level member `model`; a nested or quoted `model` is not a member of
//! the top level, and a member whose name is written with escapes is one. Parsers differ on which of two members with
//! the same name counts, so all of them are replaced, by the new name of the last one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::body::{Pieces, ReplayBody};
use crate::provider::model::{ModelId, ModelPath, decoded, is_collected};
use crate::provider::search::search_stored;
use crate::provider::unroutable::Unroutable;
use crate::provider::websocket::{self, asks_for_websocket};

/// The provider's names for the models that callers name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelNames {
    pub(crate) by_caller: BTreeMap<ModelId, ModelId>,
    /// The provider's model for any other name.
    pub(crate) any: Option<ModelId>,
    /// Whether a model without a provider's name is refused.
    pub(crate) strict: bool,
}

/// The format of a body, which determines the place of the model's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Form,
    /// No readable place.
    Opaque,
}

/// The names of a model in a body: their places, and the last name, if it is a valid model name.
struct Named {
    spans: Vec<Range<u64>>,
    name: Option<ModelId>,
}

/// The model that a request names.
#[derive(Clone, Copy)]
enum Found<'a> {
    Nothing,
    /// A text that is no valid model name.
    NoModel,
    Model(&'a ModelId),
}

/// Headers that are wrong once the body was changed.
const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Characters that are percent-encoded in a path segment: all except these.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

// === impl ModelNames ===

impl ModelNames {
    /// Returns the provider's name for a model, if it differs. The name for any other model does not apply to a
    /// request that is `pinned` to the link, because its caller names a model of this provider.
    fn of(&self, caller: &ModelId, pinned: bool) -> Result<Option<&ModelId>, Unroutable> {
        let named = self.by_caller.get(caller);
        match named.or(self.any.as_ref()) {
            Some(_) if pinned && named.is_none() => Ok(None),
            Some(name) => Ok(Some(name).filter(|name| *name != caller)),
            None if self.strict => Err(Unroutable::NoModel),
            None => Ok(None),
        }
    }

    /// Returns whether the model of a request makes a difference.
    pub(crate) fn matter(&self) -> bool {
        self.strict || self.any.is_some() || !self.by_caller.is_empty()
    }

    /// Renames the model of a request. `model` is the caller's name for it, if known; otherwise the request is
    /// searched for it. `pinned` says that the caller names a model of this provider.
    ///
    /// Returns the body to send. If its bytes do not change, it is the same, shared. May have to wait for the end of
    /// a streamed body. The new name is left as a [`ModelId`] among the extensions.
    pub(crate) async fn apply(
        &self,
        parts: &mut Parts,
        body: &ReplayBody,
        model: Option<&ModelId>,
        pinned: bool,
    ) -> Result<ReplayBody, Unroutable> {
        if let Some(model) = model
            && self.of(model, pinned)?.is_none()
        {
            return Ok(body.clone());
        }
        if let Some(encoded) = in_path(parts).or_else(|| in_handshake(parts)) {
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
        let pieces = body.pieces().await.ok_or(Unroutable::NotReplayable)?;
        let named = search(&parts.headers, &pieces).await?;
        let Some(name) = self.choose(model, named.found(), pinned)? else { return Ok(body.clone()) };
        if named.spans.is_empty() {
            return Err(Unroutable::NotFound);
        }
        let new = Bytes::from(format.write(name));
        let changed = pieces.edit(named.spans.into_iter().map(|span| (span, new.clone())));
        describe_body(&mut parts.headers, changed.len());
        parts.extensions.insert(name.clone());
        Ok(ReplayBody::of_pieces(changed))
    }

    /// Returns the new name, for the model that the caller stated in an extension or else for the one that was
    /// found, which may be no valid model name.
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

// === impl Named ===

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

/// Corrects the headers for a body that was changed.
pub(crate) fn describe_body(headers: &mut HeaderMap, len: impl Into<HeaderValue>) {
    if let Some(present) = headers.get_mut(CONTENT_LENGTH) {
        *present = len.into();
    }
    for digest in DIGESTS {
        headers.remove(digest);
    }
}

/// Returns the range of a slice within the whole that it was taken from.
fn span_of(whole: &[u8], part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

// === paths ===

/// Returns the model in the path of a call, as it is written there. A path that only looks a model up names none:
/// `GET /v1/models/ft:gpt-4o:me`. A tuned model of Google's, for example, exists under its own name only.
fn in_path(parts: &Parts) -> Option<&str> {
    let path = parts.uri.path();
    let places = ModelPath::ALL.into_iter().filter(|_| parts.method == Method::POST);
    places.filter_map(|place| place.encoded(path)).find(|model| !is_collected(model))
}

/// Returns the model in the query of a WebSocket handshake, as it is written there.
fn in_handshake(parts: &Parts) -> Option<&str> {
    websocket::encoded_model(&parts.uri).filter(|_| asks_for_websocket(&parts.headers))
}

fn with_path_part(uri: &Uri, encoded: &str, name: &ModelId) -> Result<Uri, Unroutable> {
    let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let span = span_of(whole.as_bytes(), encoded);
    // Only in Cloudflare's paths a slash in the name is a slash of the path.
    let slashes = whole[..span.start].ends_with("/ai/run/");
    let segments = name.as_str().split(if slashes { '/' } else { '\0' });
    let name: Vec<Cow<'_, str>> = segments.map(encode_segment).collect();
    let path = format!("{}{}{}", &whole[..span.start], name.join("/"), &whole[span.end..]);
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().map_err(|_| Unroutable::Url)?);
    Uri::from_parts(parts).map_err(|_| Unroutable::Url)
}

/// Encodes a name as one segment of a path.
pub(crate) fn encode_segment(name: &str) -> Cow<'_, str> {
    utf8_percent_encode(name, SEGMENT).into()
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

    fn write(self, name: &ModelId) -> String {
        match self {
            Self::Json => Value::from(name.as_str()).to_string(),
            Self::Form | Self::Opaque => name.as_str().to_owned(),
        }
    }
}

// === bodies ===

/// Searches a body for the names of models. A document that is broken further on is the caller's fault, and the
/// provider refuses it.
async fn search(headers: &HeaderMap, body: &Pieces) -> Result<Named, Unroutable> {
    let found = search_stored(headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes), body).await;
    let (spans, name) = found.ok_or(Unroutable::NotReplayable)?.texts();
    Ok(Named { spans, name })
}
