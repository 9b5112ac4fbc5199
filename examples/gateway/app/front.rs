//! What a connection's requests come to first.
//!
//! Requests for providers go straight to the chain or to the provider's own service, and only the rest to
//! axum's router: its boxes and path parameters would cost as much as rotation does.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use http::{Request, Response};
use http_body_util::Either;
use hyper::body::Incoming;
use tower::{Service, ServiceExt};
use tower_key_rotation::body::ReplayBody;

use super::refusal::Refusal;
use super::rest::Rest;
use super::upstream::ChainBody;
use super::{Gateway, answer, body};

/// The body of an answer: a provider's, or the gateway's own.
pub(crate) type FrontBody = Either<ChainBody, Body>;

/// The gateway, as what answers requests.
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

    /// Answers one request, whose connection came to `local`. (An `async fn` would keep the request twice.)
    pub(crate) fn answer(
        &self,
        request: Request<Incoming>,
        local: IpAddr,
    ) -> impl Future<Output = Response<FrontBody>> + Send + use<> {
        let parts = Arc::clone(&self.0);
        let (mut head, body) = request.into_parts();
        async move {
            let gateway = &*parts.gateway;
            let body = Rest::new(body, &head, gateway.settings.max_request, gateway.pause());
            if let Err(refusal) = gateway.enter(&head, local) {
                return refused(refusal);
            }
            let Some((chain, pinned)) = gateway.find(head.uri.path()) else {
                return Box::pin(parts.other(Request::from_parts(head, body))).await;
            };
            if let Err(refusal) = gateway.admit(&mut head, pinned) {
                return refused(refusal);
            }
            let body = match body::take(body, gateway.settings.max_request, gateway.pause()).await {
                Ok(body) => body,
                Err(refusal) => return refused(refusal),
            };
            let mut chain = chain.clone();
            let answered = match ServiceExt::<Request<ReplayBody>>::ready(&mut chain).await {
                Ok(chain) => chain.call(Request::from_parts(head, body)).await,
                Err(error) => Err(error),
            };
            answer::deliver(answered)
        }
    }
}

fn refused(refusal: Refusal) -> Response<FrontBody> {
    refusal.into_response().map(Either::Right)
}

// === impl Parts ===

impl Parts {
    async fn other(&self, request: Request<Rest>) -> Response<FrontBody> {
        match self.others.clone().oneshot(request).await {
            Ok(response) => response.map(Either::Right),
            Err(never) => match never {},
        }
    }
}
