//! Rotation as the last middleware of a `reqwest_middleware` client.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Body, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error, Middleware, Next, Result};
use tower::ServiceExt;
use tower_key_rotation::KeyPool;
use tower_key_rotation::reqwest_client::{ReqwestClient, ReqwestService};
use tower_key_rotation::rotate::KeyRotation;

/// Sends each request with a key of a pool. Middlewares behind it are not called.
#[derive(Clone, Debug)]
pub struct Rotate(KeyRotation<ReqwestClient>);

impl Rotate {
    /// Creates the middleware from the service that it calls.
    pub const fn new(service: KeyRotation<ReqwestClient>) -> Self {
        Self(service)
    }
}

#[async_trait]
impl Middleware for Rotate {
    async fn handle(&self, request: Request, extensions: &mut Extensions, _: Next<'_>) -> Result<Response> {
        // A `Session` or a `Deadline` that the caller gave to `RequestBuilder::with_extension`.
        let mut given = extensions.clone();
        let service = self.0.clone().map_request(move |mut request: http::Request<Body>| {
            request.extensions_mut().extend(std::mem::take(&mut given));
            request
        });
        let response = ReqwestService::new(service).oneshot(request).await;
        response.map_err(|error| match error.downcast::<tower_key_rotation::Error>() {
            Ok(error) => Error::middleware(*error),
            Err(other) => Error::Middleware(anyhow::Error::from_boxed(other)),
        })
    }
}

/// Returns a client whose requests are sent with the keys of a pool. Other middlewares go before [`Rotate`].
///
/// Give it a client that follows no redirects: it would carry keys to other hosts.
pub fn client(client: reqwest::Client, pool: KeyPool) -> ClientWithMiddleware {
    let rotation = KeyRotation::new(ReqwestClient::from(client.clone()), pool);
    ClientBuilder::new(client).with(Rotate::new(rotation)).build()
}
