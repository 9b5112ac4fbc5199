//! A `reqwest` client as a tower service over `http` types, and the way back: a service over the types of `reqwest`.
//!
//! [`reqwest::Client`] is a service over its own request type. It follows redirects by itself, and carries
//! `x-api-key` and similar headers to any host that it is redirected to. [`ReqwestClient`] is a service over
//! `http` types, with redirects disabled. To follow redirects, put tower-http's `FollowRedirectLayer`
//! *outside* the rotation layer, so that each hop is checked.
//!
//! It needs `reqwest` 0.13 with a TLS feature: without one, every `https` URL is unreachable.
//!
//! ```no_run
//! use tower::{BoxError, ServiceBuilder};
//! use tower_key_rotation::reqwest_client::ReqwestClient;
//! use tower_key_rotation::{KeyPool, KeyRotationLayer, Provider};
//!
//! # fn main() -> Result<(), BoxError> {
//! let pool = KeyPool::from_env(Provider::openai())?;
//! let client = ReqwestClient::new(reqwest::Client::builder())?;
//! let service = ServiceBuilder::new().layer(KeyRotationLayer::new(pool)).service(client);
//! # drop(service);
//! # Ok(())
//! # }
//! ```
//!
//! A program that makes and reads the types of `reqwest` keeps them with [`ReqwestService`].

mod service;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::reqwest::{Body, Client, ClientBuilder, Error, redirect};
use http::{Request, Response};
use tower_service::Service;

use crate::body::ReplayBody;

pub use self::service::{ReqwestService, ReqwestServiceFuture};

/// A `reqwest` client as a service from `http` requests to `http` responses.
///
/// Cheap to clone. Its errors carry no URL, because a URL may contain a key. See the [module docs](self) for
/// an example.
#[derive(Clone, Debug)]
pub struct ReqwestClient(Client);

/// The response future of [`ReqwestClient`].
#[must_use = "futures do nothing unless polled"]
pub struct ReqwestFuture(Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>);

// === impl ReqwestClient ===

impl ReqwestClient {
    /// Builds the client, with redirects disabled whatever `builder` says.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`ClientBuilder::build`].
    pub fn new(builder: ClientBuilder) -> Result<Self, Error> {
        builder.redirect(redirect::Policy::none()).build().map(Self)
    }
}

/// Takes a client as it is, with its connections and its settings.
///
/// # Redirects
///
/// The client follows redirects if its builder did not disable them, which is `reqwest`'s default, and then carries
/// `x-api-key` and similar headers to any host. Build it with [`redirect::Policy::none`], or use
/// [`ReqwestClient::new`], which does so.
impl From<Client> for ReqwestClient {
    fn from(client: Client) -> Self {
        Self(client)
    }
}

impl Service<Request<ReplayBody>> for ReqwestClient {
    type Response = Response<Body>;
    type Error = Error;
    type Future = ReqwestFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReplayBody>) -> ReqwestFuture {
        let client = self.0.clone();
        ReqwestFuture(Box::pin(async move {
            // Bytes rather than a wrapped body where possible: a wrapped body counts as a stream, and reqwest
            // can't send a stream again when a connection turns out to be closed.
            let request = request.map(|body| body.try_into_bytes().map_or_else(Body::wrap, Body::from));
            let request = ::reqwest::Request::try_from(request).map_err(Error::without_url)?;
            let response = client.execute(request).await.map_err(Error::without_url)?;
            Ok(response.into())
        }))
    }
}

// === impl ReqwestFuture ===

impl Future for ReqwestFuture {
    type Output = Result<Response<Body>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ReqwestFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReqwestFuture")
    }
}
