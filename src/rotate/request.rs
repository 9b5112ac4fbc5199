//! The request between attempts: the parts to send again, and the facts known about it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, Method, Request, StatusCode};
use http_body::Body;
use tokio::time::Instant;
use tower::BoxError;

use crate::body::{ReplayBody, Upload};
use crate::event::CallerName;
use crate::exchange::head::Head;
use crate::exchange::home::Home;
use crate::key::KeyId;
use crate::limits::Cost;
use crate::pool::Session;
use crate::provider::{
    Endpoint, ModelId, NamedModel, Provider, ids_said, is_plain, may_name_object, model_in_query, search,
    search_stored, stored_ids_in_json, stored_ids_in_path, websocket_endpoint,
};
use crate::rotate::endpoint;
use crate::rotate::estimate::Estimator;

/// Parts of error texts about objects that do not exist, or not for this account.
const SAID_OF_MISSING: [&[u8]; 4] = [b"not found", b"not_found", b"encrypted_content", b"does not exist"];

/// Returns whether an error is about an object that a body names: one of a known kind, or any that the error says to be
/// missing by its id.
fn is_about(body: &[u8], error: &[u8]) -> bool {
    let is_missing = SAID_OF_MISSING.iter().any(|said| find(error, said));
    let repeats = |id: &[u8]| find(body, &[b"\"", id, b"\""].concat());
    stored_ids_in_json(body).any(|id| is_missing || find(error, id.as_bytes()))
        || (is_missing && ids_said(error).any(repeats))
}

/// Headers that carry a key, and those that a signature covers. A refusal that names one of them is about the key.
const OF_KEYS: [&str; 6] =
    ["api-key", "x-api-key", "x-goog-api-key", "proxy-authorization", "content-type", "content-length"];

/// Iterates over the words of a refusal that may be the names of headers: `anthropic-beta`. Those without a hyphen are
/// ordinary words, too.
fn headers_said(refusal: &[u8]) -> impl Iterator<Item = HeaderName> {
    let words = refusal.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-');
    let names =
        words.filter(|word| word.contains(&b'-')).filter_map(|word| HeaderName::from_bytes(word).ok());
    names.filter(|name| !OF_KEYS.contains(&name.as_str()))
}

/// Returns whether a text contains a part.
fn find(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// A request that can be built again for each attempt.
pub(super) struct Template {
    head: Head,
    /// Empty until the body was [received](Self::receive).
    body: ReplayBody,
    model: Option<ModelId>,
    /// Whether the whole body was searched for a model, and names none.
    names_none: bool,
    /// The model that a body names of which a part is kept outside of memory.
    stored: Option<Box<NamedModel>>,
    /// Whether a chain around the layer ends the request at its deadline.
    chain_ends: bool,
    deadline: Option<Instant>,
}

impl Template {
    /// Creates the template without its body. `chain_ends` is whether a chain around the layer ends the request at
    /// the deadline.
    pub(super) fn new(parts: Parts, deadline: Option<Instant>, chain_ends: bool) -> Self {
        let model = parts.extensions.get::<ModelId>().cloned();
        let head = Head::new(parts);
        Self { head, body: ReplayBody::empty(), model, names_none: false, stored: None, chain_ends, deadline }
    }

    /// Takes the body. Up to `cap` bytes of a streaming body can be sent again.
    pub(super) async fn receive<B>(&mut self, body: B, cap: usize, provider: &Provider)
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.body = ReplayBody::new(body, cap).await;
        // Boxed, because most bodies are in memory.
        if self.model.is_none() && self.body.stored_pieces().is_some() {
            Box::pin(self.search(provider)).await;
        }
    }

    /// Searches a body for its model that is too large to be read later.
    async fn search(&mut self, provider: &Provider) {
        let Some(pieces) = self.body.stored_pieces() else { return };
        let found = search_stored(self.head.header(&CONTENT_TYPE), &pieces).await;
        self.stored = found.map(|found| Box::new(provider.named(found)));
    }

    /// Builds the request, without a key.
    #[inline]
    pub(super) fn make(&mut self) -> Request<ReplayBody> {
        self.head.make(self.body.clone())
    }

    /// Returns the model that the request names: in an extension, in the path, or in the part of the body that has
    /// arrived.
    pub(super) fn model(&mut self, provider: &Provider) -> Option<&ModelId> {
        if self.model.is_none() && !self.names_none {
            // A large body is read once.
            let is_whole = self.upload().has_ended();
            self.model = self.look_for_model(provider);
            self.names_none = is_whole && self.model.is_none();
        }
        self.model.as_ref()
    }

    /// Reads the model for limits that depend on it, after the body has arrived as far as it can be recorded. Returns
    /// whether the model is certain. If the body is longer than the record, the model named in the record counts.
    pub(super) fn name_model(&mut self, provider: &Provider) -> bool {
        if self.model.is_none() {
            self.model = provider.model_in_path(self.head.uri());
        }
        if self.model.is_some() {
            return true;
        }
        let in_query = self.named_in_query();
        if in_query.model.is_some() || !in_query.is_sure {
            self.model = in_query.model;
            return in_query.is_sure;
        }
        let has_ended = self.upload().has_ended();
        if has_ended && !self.is_replayable() {
            // The body has failed, and so will the request.
            return true;
        }
        let NamedModel { model, is_sure } = self.named_model(provider);
        self.model = model;
        let is_sure = if has_ended { is_sure } else { self.model.is_some() };
        is_sure || self.model.is_none() && self.uploads_a_file()
    }

    /// Returns the model that the query of a realtime session names.
    fn named_in_query(&self) -> NamedModel {
        match websocket_endpoint(self.path()) {
            Endpoint::Realtime => model_in_query(self.head.uri()),
            _ => NamedModel { model: None, is_sure: true },
        }
    }

    /// Returns whether the body is a file to keep, which no provider searches for a model.
    fn uploads_a_file(&self) -> bool {
        Endpoint::of_path(self.path()) == Endpoint::Files && is_plain(self.path())
    }

    fn named_model(&self, provider: &Provider) -> NamedModel {
        let is_empty = self.body.read(|frames| frames.iter().all(Bytes::is_empty));
        if !is_empty && self.head.is_encoded() { NamedModel::default() } else { self.read_model(provider) }
    }

    fn read_model(&self, provider: &Provider) -> NamedModel {
        if let Some(named) = &self.stored {
            return (**named).clone();
        }
        if !matches!(*self.head.method(), Method::POST | Method::PUT | Method::PATCH) {
            // The body of other methods has no meaning, and providers do not read it.
            return NamedModel { model: None, is_sure: true };
        }
        let content_type = self.head.header(&CONTENT_TYPE);
        self.body.read(|frames| provider.named(search(content_type, frames)))
    }

    /// Returns the estimated cost of the request, from the part of its body that has arrived.
    pub(super) fn cost(&self, estimator: &Estimator) -> Cost {
        Cost::with_tokens(self.body.read(|frames| estimator.estimate(self.head.uri(), frames)))
    }

    /// Returns the model for an event. It is not remembered, so that a subscriber changes nothing.
    pub(super) fn told_model(&self, provider: &Provider) -> Option<ModelId> {
        if self.names_none {
            return None;
        }
        self.model.clone().or_else(|| self.look_for_model(provider))
    }

    fn look_for_model(&self, provider: &Provider) -> Option<ModelId> {
        provider.model_in_path(self.head.uri()).or_else(|| self.read_model(provider).model)
    }

    /// Returns the model, if it is already known.
    pub(super) fn known_model(&self) -> Option<&ModelId> {
        self.model.as_ref()
    }

    /// Returns the hash of the endpoint: the method, and the path without ids.
    pub(super) fn endpoint(&self) -> u64 {
        endpoint::hash(self.head.method(), self.head.uri().path())
    }

    /// Returns whether the request is a HEAD.
    pub(super) fn is_head(&self) -> bool {
        *self.head.method() == Method::HEAD
    }

    /// Returns the path of the request's URL.
    pub(super) fn path(&self) -> &str {
        self.head.uri().path()
    }

    /// Returns path and query of the request's URL.
    pub(super) fn path_and_query(&self) -> Option<&PathAndQuery> {
        self.head.uri().path_and_query()
    }

    /// Returns whether executing the request twice does no harm, by its method or by its `idempotency-key` header.
    pub(super) fn is_idempotent(&self) -> bool {
        self.head.is_idempotent()
    }

    /// Returns whether the request asks for another protocol, as the handshake of a WebSocket does.
    pub(super) fn asks_for_upgrade(&self) -> bool {
        self.head.header(&UPGRADE).is_some()
    }

    pub(super) fn is_replayable(&self) -> bool {
        self.body.is_replayable()
    }

    /// Returns the upload of the body by the caller.
    pub(super) fn upload(&self) -> Upload {
        self.body.upload()
    }

    /// Takes the error with which the request's own body failed, if any.
    pub(super) fn take_body_error(&self) -> Option<BoxError> {
        self.body.take_error()
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the deadline, unless a chain around the layer ends the request at it.
    pub(super) fn own_deadline(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.chain_ends)
    }

    /// Returns the key that holds what the request names, if this provider has it.
    pub(super) fn home(&self, provider: &Provider) -> Option<&KeyId> {
        let home = self.head.extensions().get::<Home>()?;
        (home.provider() == provider.name()).then(|| home.key())
    }

    /// Returns whether a response with this error text says that an object is missing that the request names.
    pub(super) fn names_missing(&self, status: StatusCode, error: &[u8]) -> bool {
        let path = self.head.uri().path_and_query().map_or("", PathAndQuery::as_str);
        let in_path = || stored_ids_in_path(path).next().is_some() || may_name_object(path);
        if status == StatusCode::NOT_FOUND && in_path() {
            return true;
        }
        self.body.read(|frames| match frames {
            [whole] => is_about(whole, error),
            pieces => is_about(&pieces.concat(), error),
        })
    }

    /// Returns whether a refusal names something that the caller sent along: a stored object, or a header.
    pub(super) fn brought(&self, refusal: &[u8]) -> bool {
        let is_said = |id: &str| find(refusal, id.as_bytes());
        let path = self.head.uri().path_and_query().map_or("", PathAndQuery::as_str);
        headers_said(refusal).any(|name| self.head.header(&name).is_some())
            || stored_ids_in_path(path).any(is_said)
            || self.body.read(|frames| match frames {
                [whole] => stored_ids_in_json(whole).any(is_said),
                pieces => stored_ids_in_json(&pieces.concat()).any(is_said),
            })
    }

    /// Returns the name of the caller, for an event.
    pub(super) fn caller(&self) -> Option<CallerName> {
        self.head.extensions().get().cloned()
    }

    /// Returns the session that the request belongs to.
    pub(super) fn session(&self) -> Option<Session> {
        self.head.extensions().get::<Session>().copied()
    }
}
