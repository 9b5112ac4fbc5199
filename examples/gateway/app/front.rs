//! What a connection's requests come to first.
//!
//! Requests for providers go straight to the chain or to the provider's own service, and only the rest to
//! axum's router: its boxes and path parameters would cost as much as rotation does.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Either;
use tower::{BoxError, Service, ServiceExt};

use super::pinned;
use super::refusal::Refusal;
use super::upstream::ChainBody;
use super::{Gateway, answer};

/// The body of an answer: a provider's, or the gateway's own.
pub(crate) type FrontBody = Either<ChainBody, Body>;

/// The gateway as a service.
#[derive(Clone)]
pub(crate) struct Front(Arc<Parts>);

struct Parts {
    gateway: Arc<Gateway>,
    /// For everything but providers.
    others: Router,
}

// === impl Front ===

impl Front {
    pub(super) fn new(gateway: Arc<Gateway>, others: Router) -> Self {
        Self(Arc::new(Parts { gateway, others }))
    }
}

impl<B> Service<Request<B>> for Front
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<FrontBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let parts = Arc::clone(&self.0);
        Box::pin(async move {
            let answered = parts.answer(request).await;
            Ok(answered.unwrap_or_else(|refusal| refusal.into_response().map(Either::Right)))
        })
    }
}

// === impl Parts ===

impl Parts {
    async fn answer<B>(&self, request: Request<B>) -> Result<Response<FrontBody>, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (first, rest) = pinned::split(request.uri().path());
        let gateway = &*self.gateway;
        if first == "v1" && !rest.is_empty() {
            let request = gateway.admit(request, None).await?;
            return Ok(answer::deliver(gateway.chain.clone().oneshot(request).await));
        }
        if let Some(pinned) = gateway.pinned.get(first).filter(|_| !rest.is_empty()) {
            let request = gateway.admit(request, Some(pinned)).await?;
            return Ok(answer::deliver(pinned.service().oneshot(request).await));
        }
        let response = match self.others.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        Ok(response.map(Either::Right))
    }
}
