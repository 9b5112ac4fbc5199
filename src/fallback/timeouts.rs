//! Time limits for some models.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};

use crate::body::ReplayBody;
use crate::exchange::time_limits::TimeLimits;
use crate::provider::{ModelId, ModelPath, Provider, search_stored};
use crate::wildcard;

/// The time limits for some models, in place of those of the chain. Limits that are not set are the chain's.
///
/// See [`ProviderFallbackLayer::timeouts_for`](crate::ProviderFallbackLayer::timeouts_for).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "give it to a chain"]
pub struct Timeouts {
    head: Option<Duration>,
    first_content: Option<Duration>,
    idle: Option<Duration>,
}

// === impl Timeouts ===

impl Timeouts {
    /// Creates the limits of the chain.
    pub const fn new() -> Self {
        Self { head: None, first_content: None, idle: None }
    }

    /// Sets the time limit for the head of a response. See
    /// [`head_timeout`](crate::ProviderFallbackLayer::head_timeout).
    pub const fn head(mut self, limit: Duration) -> Self {
        self.head = Some(limit);
        self
    }

    /// Sets the time limit for the first content of a stream. See
    /// [`first_content_timeout`](crate::ProviderFallbackLayer::first_content_timeout).
    pub const fn first_content(mut self, limit: Duration) -> Self {
        self.first_content = Some(limit);
        self
    }

    /// Sets the time limit for a pause in a stream. See [`idle_timeout`](crate::ProviderFallbackLayer::idle_timeout).
    pub const fn idle(mut self, limit: Duration) -> Self {
        self.idle = Some(limit);
        self
    }

    fn over(self, of_chain: TimeLimits) -> TimeLimits {
        let TimeLimits { head, idle, mut inspect } = of_chain;
        if let Some(limit) = self.first_content {
            inspect.set_first_content(limit);
        }
        TimeLimits { head: self.head.or(head), idle: self.idle.or(idle), inspect }
    }
}

/// Returns the time limits of a chain: `general` for all models, followed by those for some.
pub(super) fn all(general: TimeLimits, by_model: &[(String, Timeouts)]) -> Arc<[TimeLimits]> {
    let of_models = by_model.iter().map(|(_, timeouts)| timeouts.over(general));
    std::iter::once(general).chain(of_models).collect()
}

/// Returns the number of the time limits that apply to a request. Waits for the end of the body if its beginning names no
/// model.
pub(super) async fn choose(
    by_model: &[(String, Timeouts)],
    request: &Request<ReplayBody>,
    reader: &Provider,
) -> usize {
    let Some(model) = model(request, reader).await else { return 0 };
    let matches = |(pattern, _): &(String, Timeouts)| wildcard::matches(pattern, model.as_str());
    by_model.iter().position(matches).map_or(0, |at| at + 1)
}

async fn model(request: &Request<ReplayBody>, reader: &Provider) -> Option<ModelId> {
    if let Some(model) = request.extensions().get::<ModelId>() {
        return Some(model.clone());
    }
    if let Some(model) = ModelPath::ALL.into_iter().find_map(|place| place.find(request.uri())) {
        return Some(model);
    }
    let (body, kind) = (request.body(), request.headers().get(CONTENT_TYPE));
    if let Some(stored) = body.stored_pieces() {
        let found = search_stored(kind.map(HeaderValue::as_bytes), &stored).await?;
        return reader.named(found).model;
    }
    let read = || body.read(|frames| reader.model_in_body(kind, frames));
    if let Some(model) = read() {
        return Some(model);
    }
    let upload = body.upload();
    if upload.has_ended() {
        return None;
    }
    upload.record().await;
    read()
}
