//! The service of a chain of providers.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::BoxError;
use tower_service::Service;

use crate::body::{ReplayBody, ResponseBody};
use crate::error::Error;
use crate::exchange::future::ResponseFuture;
use crate::fallback::drive::drive;
use crate::fallback::link::Chain;
use crate::fallback::state::ChainState;

/// A service that sends each request to one provider after another until one serves it.
///
/// Made by [`ProviderFallbackLayer`](crate::ProviderFallbackLayer); see the [module docs](super).
pub struct ProviderFallback<S, B> {
    first: S,
    chain: Arc<Chain<B>>,
}

// === impl ProviderFallback ===

impl<S, B> ProviderFallback<S, B> {
    pub(super) fn new(first: S, chain: Chain<B>) -> Self {
        Self { first, chain: Arc::new(chain) }
    }

    /// Returns a reference to the service of the first link.
    pub const fn get_ref(&self) -> &S {
        &self.first
    }

    /// Returns a mutable reference to the service of the first link.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.first
    }

    /// Returns the service of the first link.
    pub fn into_inner(self) -> S {
        self.first
    }
}

// Derived impls would require the same traits of the response body.

impl<S: fmt::Debug, B> fmt::Debug for ProviderFallback<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, chain } = self;
        f.debug_struct("ProviderFallback").field("first", first).field("chain", chain).finish()
    }
}

impl<S: Clone, B> Clone for ProviderFallback<S, B> {
    fn clone(&self) -> Self {
        Self { first: self.first.clone(), chain: Arc::clone(&self.chain) }
    }
}

impl<S, ReqBody, B> Service<Request<ReqBody>> for ProviderFallback<S, B>
where
    S: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    ReqBody: Body + Send + 'static,
    ReqBody::Data: Send,
    ReqBody::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Error;
    type Future = ResponseFuture<B>;

    /// Always ready: each link is driven to readiness in its turn.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        ResponseFuture::new(drive(self.first.clone(), ChainState::new(Arc::clone(&self.chain), parts), body))
    }
}
