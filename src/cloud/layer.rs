//! The layer that turns requests into those of a cloud.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::ReplayBody;
use crate::cloud::body::CloudBody;
use crate::cloud::check::direct;
use crate::cloud::platform::Cloud;
use crate::cloud::rewrite::rewrite;
use crate::provider::CheckCall;

/// Turns the requests of one provider into those of a cloud; see the [module docs](crate::cloud).
///
/// Place it inside the rotation layer, next to the client: a signature covers the request as it is then, so no layer
/// inside may change it.
///
/// ```
/// use tower_key_rotation::cloud::{Cloud, CloudLayer};
///
/// let bedrock = CloudLayer::new(Cloud::bedrock("us-east-1"));
/// let nothing = CloudLayer::new(None);
/// # let _ = (bedrock, nothing);
/// ```
#[derive(Clone, Debug)]
pub struct CloudLayer {
    cloud: Option<Arc<Cloud>>,
}

/// The service of [`CloudLayer`]. It fails with [`Unroutable`](crate::provider::Unroutable) if the cloud can't serve a
/// request; nothing was sent then.
#[derive(Clone, Debug)]
pub struct CloudService<S> {
    inner: S,
    cloud: Option<Arc<Cloud>>,
}

pin_project! {
    /// The response future of [`CloudService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct CloudFuture<F, B> {
        #[pin]
        state: State<F, B>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, B> {
        Unchanged { #[pin] future: F },
        Cloud { future: BoxFuture<'static, Result<Response<CloudBody<B>>, BoxError>> },
    }
}

// === impl CloudLayer ===

impl CloudLayer {
    /// Creates a layer for a cloud. `None` creates a layer that changes nothing, for stacks of one type.
    pub fn new(cloud: impl Into<Option<Cloud>>) -> Self {
        Self { cloud: cloud.into().map(Arc::new) }
    }
}

impl<S> Layer<S> for CloudLayer {
    type Service = CloudService<S>;

    fn layer(&self, inner: S) -> CloudService<S> {
        CloudService { inner, cloud: self.cloud.clone() }
    }
}

// === impl CloudService ===

impl CloudService<()> {
    /// Creates a [`CloudLayer`], as [`CloudLayer::new`] does.
    pub fn layer(cloud: impl Into<Option<Cloud>>) -> CloudLayer {
        CloudLayer::new(cloud)
    }
}

impl<S> CloudService<S> {
    /// Wraps a client.
    pub fn new(inner: S, cloud: impl Into<Option<Cloud>>) -> Self {
        CloudLayer::new(cloud).layer(inner)
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
}

impl<S, B> Service<Request<ReplayBody>> for CloudService<S>
where
    S: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<CloudBody<B>>;
    type Error = BoxError;
    type Future = CloudFuture<S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<ReplayBody>) -> Self::Future {
        let Some(cloud) = self.cloud.clone() else {
            return CloudFuture { state: State::Unchanged { future: self.inner.call(request) } };
        };
        // The instance that is ready takes the call.
        let next = self.inner.clone();
        let inner = mem::replace(&mut self.inner, next);
        CloudFuture { state: State::Cloud { future: send(inner, cloud, request).boxed() } }
    }
}

async fn send<S, B>(
    mut inner: S,
    cloud: Arc<Cloud>,
    request: Request<ReplayBody>,
) -> Result<Response<CloudBody<B>>, BoxError>
where
    S: Service<Request<ReplayBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut parts, body) = request.into_parts();
    // A path of the cloud's own is sent as it is, and its response is the caller's as it is.
    let is_own = match parts.extensions.get::<CheckCall>().copied() {
        Some(CheckCall::Operator) => true,
        Some(CheckCall::Preset) => direct(&cloud, &mut parts)? || cloud.owns(parts.uri.path()),
        None => cloud.owns(parts.uri.path()),
    };
    let body = if is_own { body } else { rewrite(&cloud, &mut parts, body).await? };
    #[cfg(feature = "sigv4")]
    let sent = sign(&cloud, &mut parts, &body).await?;
    let called = inner.call(Request::from_parts(parts, body)).await.map_err(Into::into);
    #[cfg(feature = "sigv4")]
    let called = called.map_err(|error| match &sent {
        Some(sent) => crate::scrub::redact(error, sent.expose()),
        None => error,
    });
    let response = if is_own { called?.map(CloudBody::unchanged) } else { converted(called?) };
    #[cfg(feature = "sigv4")]
    let response = sent.into_iter().fold(response, |response, sent| redacted(response, &sent));
    Ok(response)
}

/// Converts the frames of a stream into server-sent events. Any other response stays as it is.
fn converted<B>(response: Response<B>) -> Response<CloudBody<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    #[cfg(feature = "eventstream")]
    {
        use http::HeaderValue;
        use http::header::{CONTENT_LENGTH, CONTENT_TYPE};

        use crate::cloud::frames::{MEDIA, events};

        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if response.status().is_success()
            && kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with(MEDIA))
        {
            let mut response = response.map(|body| CloudBody::converted(events(body)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            response.headers_mut().remove(CONTENT_LENGTH);
            return response;
        }
    }
    response.map(CloudBody::unchanged)
}

/// Signs a request, if its key signs requests and the cloud takes signatures.
#[cfg(feature = "sigv4")]
async fn sign(
    cloud: &Cloud,
    parts: &mut http::request::Parts,
    body: &ReplayBody,
) -> Result<Option<crate::scrub::secret::Secret>, BoxError> {
    use crate::provider::{SigningSecret, Unroutable};

    let Some(SigningSecret(secret)) = parts.extensions.remove::<SigningSecret>() else { return Ok(None) };
    let host = parts.uri.host().unwrap_or_default().to_owned();
    let (Some(credentials), Some(place)) = (secret.aws(), cloud.signs_for(&host)) else { return Ok(None) };
    let digest = crate::cloud::sign::digest(body).await.ok_or(Unroutable::NotReplayable)?;
    crate::cloud::sign::sign(parts, digest, &credentials, place).map(Some)
}

/// Removes from a response the token that the request carried: AWS repeats the signed headers in some errors.
#[cfg(feature = "sigv4")]
fn redacted<B>(
    response: Response<CloudBody<B>>,
    sent: &crate::scrub::secret::Secret,
) -> Response<CloudBody<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    use http_body_util::BodyExt;

    use crate::body::{Redactor, ResponseBody};

    let (mut head, body) = response.into_parts();
    crate::scrub::head(&mut head, sent);
    let redactor = Redactor::new(sent, !head.status.is_success());
    let body = ResponseBody::untouched(body).redact(Some(redactor));
    Response::from_parts(head, CloudBody::converted(body.boxed_unsync()))
}

// === impl CloudFuture ===

impl<F, B, E> Future for CloudFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<CloudBody<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Unchanged { future } => {
                let called = ready!(future.poll(cx));
                Poll::Ready(called.map(|response| response.map(CloudBody::unchanged)).map_err(Into::into))
            }
            Projected::Cloud { future } => future.as_mut().poll(cx),
        }
    }
}

impl<F, B> fmt::Debug for CloudFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CloudFuture")
    }
}
