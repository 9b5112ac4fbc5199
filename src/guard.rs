//! A layer that keeps keys within their provider's origins, for use below a layer that follows redirects.
//!
//! The rotation layer puts a key only on requests to an origin of its provider. It can't see what a layer
//! *inside* it does with such a request: one that follows redirects may carry `x-api-key` to any host.
//! [`OriginGuardLayer`] is placed next to the client and removes every credential from requests to other
//! origins.
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
use http::request::Parts;
use pin_project_lite::pin_project;
use tower::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use crate::key::ChosenKey;
use crate::provider::{CheckHost, Provider};

/// Removes every credential from requests that leave a provider's origins.
///
/// Place it inside any layer that follows redirects, next to the client. See the [module docs](self) for an
/// example.
#[derive(Clone, Debug)]
pub struct OriginGuardLayer {
    provider: Provider,
}

/// The service of [`OriginGuardLayer`]: a client that sends no credential to other origins than the
/// provider's.
///
/// The request itself is sent to the other origin. If its credentials can't be removed, it is refused with an
/// error.
#[derive(Clone, Debug)]
pub struct OriginGuard<S> {
    inner: S,
    provider: Provider,
}

pin_project! {
    /// The response future of [`OriginGuard`].
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
    /// Creates a layer that allows keys at the [origins](Provider::origins) of `provider`, including those
    /// added with [`Provider::allow_origin`]. A key with a [base URL](crate::ApiKey::base_url) is allowed at the
    /// origin of that URL only; the guard knows it by the [`ChosenKey`] extension.
    pub const fn new(provider: Provider) -> Self {
        Self { provider }
    }
}

impl<S> Layer<S> for OriginGuardLayer {
    type Service = OriginGuard<S>;

    fn layer(&self, inner: S) -> OriginGuard<S> {
        OriginGuard::new(inner, self.provider.clone())
    }
}

// === impl OriginGuard ===

impl OriginGuard<()> {
    /// Creates an [`OriginGuardLayer`], as [`OriginGuardLayer::new`] does.
    pub const fn layer(provider: Provider) -> OriginGuardLayer {
        OriginGuardLayer::new(provider)
    }
}

impl<S> OriginGuard<S> {
    /// Wraps a client that allows keys at the [origins](Provider::origins) of `provider`.
    pub const fn new(inner: S, provider: Provider) -> Self {
        Self { inner, provider }
    }

    /// Returns a reference to the wrapped client.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the wrapped client.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the wrapped client.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Removes the credentials of a request to a foreign origin.
    fn protect(&self, parts: &mut Parts) -> Result<(), http::Error> {
        let Parts { uri, headers, extensions, .. } = parts;
        let key = extensions.get::<ChosenKey>();
        if extensions.get::<CheckHost>().is_some_and(|host| host.is_of(uri)) {
            return Ok(());
        }
        if key.map_or_else(|| self.provider.allows(uri), |key| key.may_go_to(uri, &self.provider)) {
            return Ok(());
        }
        key.into_iter().for_each(|key| key.remove_headers(headers));
        #[cfg(feature = "sigv4")]
        extensions.remove::<crate::provider::SigningSecret>();
        self.provider.auth().strip(uri, headers)
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
        if let Err(error) = self.protect(&mut parts) {
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
