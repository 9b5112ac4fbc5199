//! Keeping keys at home below a layer that follows redirects.
//!
//! The rotation layer stamps a key only on requests to an origin of its provider. What a layer *inside* it
//! does with the stamped request it can't see: one that follows redirects may carry `x-api-key` to any host
//! it is sent to. [`OriginGuardLayer`], put next to the client, removes every credential from a request
//! that leaves the provider's origins.
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_http::follow_redirect::FollowRedirectLayer;
//! use tower_key_rotation::guard::OriginGuardLayer;
//! use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
//!
//! # fn main() -> Result<(), tower::BoxError> {
//! # let client = ();
//! let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?).build()?;
//! let service = ServiceBuilder::new()
//!     .layer(KeyRotationLayer::new(pool))
//!     .layer(FollowRedirectLayer::new())
//!     .layer(OriginGuardLayer::new(Provider::openai()))
//!     .service(client);
//! # let _ = service;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::TryFuture;
use http::Request;
use pin_project_lite::pin_project;
use tower::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use crate::provider::Provider;

/// Removes every credential from requests that leave a provider's origins.
#[derive(Clone, Debug)]
pub struct OriginGuardLayer {
    provider: Provider,
}

/// A client that no key is sent through to a foreign origin; see the [module docs](self).
#[derive(Clone, Debug)]
pub struct OriginGuard<S> {
    inner: S,
    provider: Provider,
}

pin_project! {
    /// The future of a response of [`OriginGuard`].
    #[must_use = "futures do nothing unless polled"]
    pub struct OriginGuardFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F> {
        Called { #[pin] future: F },
        Refused { #[pin] error: Ready<BoxError> },
    }
}

// === impl OriginGuardLayer ===

impl OriginGuardLayer {
    /// Keeps keys within the origins of `provider`, those that were allowed in addition included.
    pub const fn new(provider: Provider) -> Self {
        Self { provider }
    }
}

impl<S> Layer<S> for OriginGuardLayer {
    type Service = OriginGuard<S>;

    fn layer(&self, inner: S) -> OriginGuard<S> {
        OriginGuard { inner, provider: self.provider.clone() }
    }
}

// === impl OriginGuard ===

impl<S> OriginGuard<S> {
    /// The wrapped client.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped client.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped client.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B> Service<Request<B>> for OriginGuard<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = OriginGuardFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        if !self.provider.allows(&parts.uri)
            && let Err(error) = self.provider.auth().strip(&mut parts.uri, &mut parts.headers)
        {
            return OriginGuardFuture { state: State::Refused { error: ready(error.into()) } };
        }
        let future = self.inner.call(Request::from_parts(parts, body));
        OriginGuardFuture { state: State::Called { future } }
    }
}

// === impl OriginGuardFuture ===

impl<F> Future for OriginGuardFuture<F>
where
    F: TryFuture,
    F::Error: Into<BoxError>,
{
    type Output = Result<F::Ok, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Called { future } => future.try_poll(cx).map_err(Into::into),
            Projected::Refused { error } => error.poll(cx).map(Err),
        }
    }
}

impl<F> fmt::Debug for OriginGuardFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OriginGuardFuture")
    }
}
