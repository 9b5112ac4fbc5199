//! A request as the provider reads it.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{Method, request};
use hyper::upgrade::OnUpgrade;
use serde_json::Value;

use super::credentials::credentials;
use super::fields::BodyFields;
use super::form::{self, FormFile};
use super::handshake::Handshake;
use super::route::{Endpoint, Format, Route};
use super::upload::UploadStep;
use crate::dialect::Dialect;
use crate::script::Refusal;

/// The parts of a request that the simulator uses. Has no `Debug`, because it holds the secret.
pub(crate) struct ReceivedRequest {
    pub(crate) route: Route,
    pub(crate) fields: BodyFields,
    /// The body, if it is JSON, or the text fields of a form.
    pub(crate) body: Value,
    /// The first file of a form.
    pub(crate) file: Option<FormFile>,
    /// The step of Google's resumable upload.
    pub(super) upload: UploadStep,
    /// Scheme and host of the provider, as the caller names it.
    pub(super) origin: String,
    content_type: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The key, if the request carries one.
    pub(crate) secret: Option<String>,
    /// Whether a credential arrived in another place than the key's.
    pub(crate) foreign_credentials: bool,
    pub(crate) idempotency_key: Option<String>,
    /// The handshake of a WebSocket, if the request is one.
    pub(super) handshake: Option<Handshake>,
    /// Length of the body, as the head announced it.
    announced: Option<u64>,
    /// Whether the request lacks the version that Anthropic requires.
    version_missing: bool,
    /// A quarter of the body's bytes, at least 1.
    pub(crate) prompt_tokens: u64,
}

// === impl ReceivedRequest ===

impl ReceivedRequest {
    /// Reads the head. The body counts as empty until [`read_body`](Self::read_body).
    pub(crate) fn from_head(dialect: Dialect, head: &request::Parts) -> Self {
        let query = head.uri.query().unwrap_or("");
        let route = Route::of(dialect, &head.method, head.uri.path(), query);
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(HOST.as_str()).or_else(|| head.uri.authority().map(http::uri::Authority::as_str));
        let (secret, foreign_credentials) = credentials(route.format, &head.headers, query);
        Self {
            version_missing: route.format == Format::Anthropic && text("anthropic-version").is_none(),
            fields: BodyFields { model: route.model.clone(), ..BodyFields::default() },
            body: Value::Null,
            file: None,
            upload: UploadStep::of(head),
            origin: format!("http://{}", host.unwrap_or("localhost")),
            content_type: text(CONTENT_TYPE.as_str()).unwrap_or("").to_owned(),
            route,
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            secret,
            foreign_credentials,
            idempotency_key: text("idempotency-key").map(str::to_owned),
            // Without a connection that can switch, it is a plain request.
            handshake: head.extensions.get::<OnUpgrade>().and_then(|_| Handshake::of(&head.headers)),
            announced: text(CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok()),
            prompt_tokens: 1,
        }
    }

    /// Returns a request of a batch, which has no head of its own.
    pub(super) fn of_batch(dialect: Dialect, url: &str, body: &Value) -> Self {
        let route = Route::of(dialect, &Method::POST, url, "");
        Self {
            fields: BodyFields::of(&route, body),
            prompt_tokens: (body.to_string().len() as u64 / 4).max(1),
            body: body.clone(),
            file: None,
            upload: UploadStep::default(),
            origin: String::new(),
            content_type: String::new(),
            route,
            method: Method::POST,
            path: url.to_owned(),
            secret: None,
            foreign_credentials: false,
            idempotency_key: None,
            handshake: None,
            announced: None,
            version_missing: false,
        }
    }

    pub(crate) fn read_body(&mut self, body: &Bytes) {
        (self.fields, self.body) = match form::read(&self.content_type, body) {
            Some((fields, file)) => {
                self.file = file;
                (BodyFields::of(&self.route, &fields), fields)
            }
            // The steps of Google's uploads are JSON or the bytes of the file.
            None if self.route.uploads() => {
                self.file =
                    Some(FormFile { name: String::new(), kind: String::new(), content: body.clone() });
                (BodyFields::default(), serde_json::from_slice(body).unwrap_or_default())
            }
            None => BodyFields::read(&self.route, body),
        };
        self.prompt_tokens = (body.len() as u64 / 4).max(1);
    }

    /// Returns whether a body that ended after `received` bytes is complete.
    pub(crate) fn is_whole(&self, received: u64) -> bool {
        self.announced.is_none_or(|announced| announced == received)
    }

    /// Returns the error in the request itself, if any.
    pub(crate) fn error(&self) -> Option<Refusal> {
        if self.route.endpoint == Endpoint::Unknown {
            return Some(Refusal::NotFound);
        }
        if self.version_missing {
            return Some(Refusal::BadRequest("anthropic-version: header is required".into()));
        }
        self.fields.error.map(|error| Refusal::BadRequest(error.into()))
    }

    /// Returns whether the request asks about a model, rather than to use it.
    pub(crate) fn looks_up_model(&self) -> bool {
        self.route.endpoint == Endpoint::Model
    }

    /// Returns the name of the model; empty if the request names none.
    pub(crate) fn model(&self) -> &str {
        self.fields.model.as_deref().unwrap_or("")
    }
}
