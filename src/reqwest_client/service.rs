//! A service over `http` types as a service over the types of `reqwest`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::reqwest::{Body, Request, Response, ResponseBuilderExt, Url};
use bytes::Bytes;
use pin_project_lite::pin_project;
use tower::BoxError;
use tower_service::Service;

use crate::body::ResponseBody;

/// A service from [`reqwest::Request`](Request) to [`reqwest::Response`](Response), around one over `http` types.
///
/// [`Served`](crate::Served) is among the extensions of the response, and [`Response::url`] is the URL of the request.
/// A [timeout](Request::timeout) of the request applies to each attempt; [`deadline`](crate::KeyRotationLayer::deadline)
/// limits all of them. Errors are those of the inner service, and of URLs that `http` does not accept.
///
/// ```
/// use tower::{BoxError, Layer, Service, ServiceExt};
/// use tower_key_rotation::reqwest_client::{ReqwestClient, ReqwestService};
/// use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
/// use tower_key_rotation_sim::{SimKey, Simulator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let old = SimKey::new("old", "sk-old-0123456789").revoked();
/// let simulator = Simulator::openai().keys([old, SimKey::new("new", "sk-new-0123456789")]).build();
/// let server = simulator.serve().await?;
/// let pool = KeyPool::builder(Provider::openai().with_origin(server.origin().parse()?))
///     .keys([ApiKey::new("sk-old-0123456789")?, ApiKey::new("sk-new-0123456789")?])
///     .build()?;
///
/// let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
/// let rotating = KeyRotationLayer::new(pool).layer(ReqwestClient::from(client.clone()));
/// let mut service = ReqwestService::new(rotating);
///
/// let url = format!("{}/v1/chat/completions", server.origin());
/// let request = client.post(url).body(r#"{"model":"gpt-4o","messages":[]}"#).build()?;
/// let response = service.ready().await?.call(request).await?;
/// assert_eq!(response.status(), 200);
/// assert!(response.text().await?.contains("quick brown fox"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReqwestService<S>(S);

pin_project! {
    /// The response future of [`ReqwestService`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ReqwestServiceFuture<F> {
        // `None`: the request is none of the `http` types.
        #[pin]
        future: Option<F>,
        url: Option<Url>,
        refused: Option<BoxError>,
    }
}

/// Passes the body on as it arrives.
impl<B> From<ResponseBody<B>> for Body
where
    B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    fn from(body: ResponseBody<B>) -> Self {
        Self::wrap(body)
    }
}

/// Returns a response as the type of `reqwest`, with the URL of its request.
fn with_url<B: Into<Body>>(response: http::Response<B>, url: Url) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Ok(named) = http::Response::builder().url(url).body(()) {
        parts.extensions.extend(named.into_parts().0.extensions);
    }
    http::Response::from_parts(parts, body).into()
}

// === impl ReqwestService ===

impl<S> ReqwestService<S> {
    /// Wraps a service, such as a [`KeyRotation`](crate::rotate::KeyRotation) or a
    /// [`ProviderFallback`](crate::fallback::ProviderFallback) around a [`ReqwestClient`](super::ReqwestClient).
    pub const fn new(inner: S) -> Self {
        Self(inner)
    }

    /// Returns the inner service.
    pub const fn get_ref(&self) -> &S {
        &self.0
    }

    /// Returns the inner service for changes.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.0
    }

    /// Returns the inner service by value.
    pub fn into_inner(self) -> S {
        self.0
    }
}

impl<S, B> Service<Request> for ReqwestService<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
    S::Error: Into<BoxError>,
    B: Into<Body>,
{
    type Response = Response;
    type Error = BoxError;
    type Future = ReqwestServiceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let url = Some(request.url().clone());
        match http::Request::try_from(request) {
            Ok(request) => ReqwestServiceFuture { future: Some(self.0.call(request)), url, refused: None },
            Err(error) => {
                ReqwestServiceFuture { future: None, url, refused: Some(error.without_url().into()) }
            }
        }
    }
}

// === impl ReqwestServiceFuture ===

impl<F, B, E> Future for ReqwestServiceFuture<F>
where
    F: Future<Output = Result<http::Response<B>, E>>,
    E: Into<BoxError>,
    B: Into<Body>,
{
    type Output = Result<Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(error) = this.refused.take() {
            return Poll::Ready(Err(error));
        }
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        let response = ready!(future.poll(cx)).map_err(Into::into)?;
        Poll::Ready(Ok(match this.url.take() {
            Some(url) => with_url(response, url),
            None => response.into(),
        }))
    }
}
