//! The request between attempts: what is sent again, and what is known of it.

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body::Body;
use tokio::time::Instant;
use tower::BoxError;

use crate::body::{ReplayBody, Upload};
use crate::exchange::head::Head;
use crate::limits::Cost;
use crate::pool::Session;
use crate::provider::{ModelId, NamedModel, Provider};
use crate::rotate::endpoint;
use crate::rotate::estimate::Estimator;

/// A request that can be made as often as there are keys.
pub(super) struct Template {
    head: Head,
    /// Empty until it is [received](Self::receive).
    body: ReplayBody,
    model: Option<ModelId>,
    deadline: Option<Instant>,
}

impl Template {
    /// A request without its body.
    pub(super) fn new(parts: Parts, deadline: Option<Instant>) -> Self {
        let model = parts.extensions.get::<ModelId>().cloned();
        Self { head: Head::new(parts), body: ReplayBody::empty(), model, deadline }
    }

    /// Takes the body; of a streaming one, up to `cap` bytes can be sent again.
    pub(super) async fn receive<B>(&mut self, body: B, cap: usize)
    where
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.body = ReplayBody::new(body, cap).await;
    }

    /// The request, without a key on it.
    pub(super) fn make(&mut self) -> Request<ReplayBody> {
        self.head.make(self.body.clone())
    }

    /// The model that the request names: in an extension, in the path, or in what is there of the body.
    pub(super) fn model(&mut self, provider: &Provider) -> Option<&ModelId> {
        if self.model.is_none() {
            self.model = self.look_for_model(provider);
        }
        self.model.as_ref()
    }

    /// Takes note of the model, for limits that hang on it: the body has arrived as far as it can be recorded. Says
    /// whether that is sure. A body that goes on beyond the record counts for the model that is named before.
    pub(super) fn name_model(&mut self, provider: &Provider) -> bool {
        if self.model.is_none() {
            self.model = provider.model_in_path(self.head.uri());
        }
        if self.model.is_some() {
            return true;
        }
        let has_ended = self.upload().has_ended();
        if has_ended && !self.is_replayable() {
            // The body has failed, and so will the request.
            return true;
        }
        let NamedModel { model, is_sure } = self.named_model(provider);
        self.model = model;
        if has_ended { is_sure } else { self.model.is_some() }
    }

    fn named_model(&self, provider: &Provider) -> NamedModel {
        let content_type = self.head.header(&CONTENT_TYPE);
        self.body.read(|frames| match frames.iter().all(Bytes::is_empty) {
            false if self.head.is_encoded() => NamedModel::default(),
            _ => provider.named_model(content_type, frames),
        })
    }

    /// What it is thought to take, of what is there of its body.
    pub(super) fn cost(&self, estimator: &Estimator) -> Cost {
        Cost::with_tokens(self.body.read(|frames| estimator.estimate(self.head.uri(), frames)))
    }

    /// The same, for somebody who only listens: it is not remembered, so that listening changes nothing.
    pub(super) fn told_model(&self, provider: &Provider) -> Option<ModelId> {
        self.model.clone().or_else(|| self.look_for_model(provider))
    }

    fn look_for_model(&self, provider: &Provider) -> Option<ModelId> {
        let content_type = self.head.header(&CONTENT_TYPE);
        let in_path = provider.model_in_path(self.head.uri());
        in_path.or_else(|| self.body.read(|frames| provider.named_model(content_type, frames).model))
    }

    /// The model, if it is known by now.
    pub(super) fn known_model(&self) -> Option<&ModelId> {
        self.model.as_ref()
    }

    /// The hash of where it goes: the method, and the path without ids.
    pub(super) fn endpoint(&self) -> u64 {
        endpoint::hash(self.head.method(), self.head.uri().path())
    }

    /// The path that is asked for.
    pub(super) fn path(&self) -> &str {
        self.head.uri().path()
    }

    /// Whether running it twice does no harm: by its method, or because its caller says so.
    pub(super) fn is_idempotent(&self) -> bool {
        self.head.is_idempotent()
    }

    pub(super) fn is_replayable(&self) -> bool {
        self.body.is_replayable()
    }

    /// How the body arrives from the caller.
    pub(super) fn upload(&self) -> Upload {
        self.body.upload()
    }

    /// Takes the error that the request's own body failed with, if it did.
    pub(super) fn take_body_error(&self) -> Option<BoxError> {
        self.body.take_error()
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What the request belongs to.
    pub(super) fn session(&self) -> Option<Session> {
        self.head.extensions().get::<Session>().copied()
    }
}
