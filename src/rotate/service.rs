//! The service of the rotation layer.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::BoxError;
use tower_service::Service;

use crate::body::{ReplayBody, ResponseBody};
use crate::classify::Classify;
use crate::error::Error;
use crate::exchange::future::ResponseFuture;
use crate::pool::KeyPool;
use crate::provider::ProviderClassifier;
use crate::rotate::config::Config;
use crate::rotate::drive::drive;
use crate::rotate::state::RequestState;

/// A client service that sends each request with a usable key of a pool, and with another key if the first is
/// refused.
///
/// Made by [`KeyRotationLayer`](crate::KeyRotationLayer); see the [module docs](super). It accepts requests with any
/// body type, so `ready` needs a type annotation for the request; `oneshot` does not.
#[derive(Clone, Debug)]
pub struct KeyRotation<S, C = ProviderClassifier> {
    inner: S,
    classifier: C,
    config: Arc<Config>,
}

// === impl KeyRotation ===

impl<S> KeyRotation<S> {
    /// Wraps a client service so that its requests are sent with the keys of a pool, with the default settings of
    /// [`KeyRotationLayer`](crate::KeyRotationLayer).
    ///
    /// ```
    /// use http::{Request, Response};
    /// use http_body_util::Full;
    /// use tower::ServiceExt;
    /// use tower_key_rotation::body::ReplayBody;
    /// use tower_key_rotation::rotate::KeyRotation;
    /// use tower_key_rotation::{ApiKey, KeyPool, Provider};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower::BoxError> {
    /// // Stands for an HTTP client, and shows the key that a request has.
    /// let client = tower::service_fn(async |request: Request<ReplayBody>| {
    ///     assert_eq!(request.headers()["authorization"], "Bearer sk-one");
    ///     Ok::<_, std::io::Error>(Response::new(Full::<bytes::Bytes>::from("{}")))
    /// });
    /// let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?).build()?;
    /// let service = KeyRotation::new(client, pool);
    ///
    /// let request = Request::get("https://api.openai.com/v1/models").body(Full::<bytes::Bytes>::default())?;
    /// assert!(service.oneshot(request).await?.status().is_success());
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(inner: S, pool: KeyPool) -> Self {
        let classifier = pool.provider().classifier();
        Self::with_config(inner, classifier, Arc::new(Config::new(pool)))
    }
}

impl<S, C> KeyRotation<S, C> {
    pub(super) const fn with_config(inner: S, classifier: C, config: Arc<Config>) -> Self {
        Self { inner, classifier, config }
    }

    /// Returns a reference to the wrapped service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the wrapped service.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, C, ReqBody, ResBody> Service<Request<ReqBody>> for KeyRotation<S, C>
where
    S: Service<Request<ReplayBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    C: Classify,
    ReqBody: Body + Send + 'static,
    ReqBody::Data: Send,
    ReqBody::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = Error;
    type Future = ResponseFuture<ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(|error| Error::Service(error.into()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // The instance that was polled ready is the one to call; the clone left behind is not ready yet.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let (parts, body) = request.into_parts();
        let state = RequestState::new(Arc::clone(&self.config), parts);
        ResponseFuture::new(drive(ready, self.classifier.clone(), state, body))
    }
}
