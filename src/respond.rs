//! A layer that turns errors into HTTP responses.
//!
//! A server has to respond to every request. [`RespondLayer`] makes a service infallible, as axum requires: each of
//! its errors becomes the response of [`Error::into_response`], which is usually the provider's last response.
//!
//! The layer may be placed around the layers of this crate, and around any other layers in between: an [`Error`] is
//! found among the sources of any error. Of the errors of other layers it knows those of tower's timeout (504) and
//! load shedding (503).
//!
//! # Refused keys
//!
//! A provider's 401, 402 or 403 concerns the key or the account that this service uses, and would tell the
//! caller that the caller's own key is wrong. Such a response gets the status 502 and keeps its body. It is
//! replaced by a 429 if other keys of the pool are only limited, or if the account is out of credit. With
//! [`RespondLayer::pass_refusals`] it is passed on unchanged.
//!
//! # Example
//!
//! ```
//! use http_body_util::Full;
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//! use tower_key_rotation::body::ReplayBody;
//! use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider, RespondLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let pool = KeyPool::builder(Provider::openai()).key(ApiKey::new("sk-one")?).build()?;
//! let limited = service_fn(|_: Request<ReplayBody>| async {
//!     Response::builder().status(429).header("retry-after", "20").body(Full::<Bytes>::default())
//! });
//! let service = ServiceBuilder::new()
//!     .layer(RespondLayer::new())
//!     .layer(KeyRotationLayer::new(pool))
//!     .service(limited);
//!
//! let request = || Request::get("https://api.openai.com/v1/models").body(Full::<Bytes>::default());
//! let first = service.clone().oneshot(request()?).await?;
//! assert_eq!(first.status(), StatusCode::TOO_MANY_REQUESTS);
//!
//! // The key has a cooldown: the provider is not called, and the response says for how long.
//! let second = service.oneshot(request()?).await?;
//! assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
//! assert_eq!(second.headers()["retry-after"], "20");
//! # Ok(())
//! # }
//! ```

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::WWW_AUTHENTICATE;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use tower::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::{ErrorBody, ResponseBody};
use crate::classify::transport::sources;
use crate::error::{Error, Summary};
use crate::exchange::served::Served;

/// Turns the errors of a service into HTTP responses; see the [module docs](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct RespondLayer {
    pass_refusals: bool,
}

/// A service whose errors are HTTP responses; see the [module docs](self).
#[derive(Debug)]
pub struct Respond<S> {
    inner: S,
    pass_refusals: bool,
    /// The error of an inner service that is not ready. It becomes the response to the next call, which must
    /// not reach the service.
    unready: Option<BoxError>,
}

pin_project! {
    /// The response future of [`Respond`].
    #[must_use = "futures do nothing unless polled"]
    pub struct RespondFuture<F> {
        #[pin]
        state: State<F>,
        pass_refusals: bool,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Calling { #[pin] future: F },
        /// `None`: it has completed.
        Unready { error: Option<BoxError> },
    }
}

// === impl RespondLayer ===

impl RespondLayer {
    /// Creates a layer that turns every error into a response.
    pub const fn new() -> Self {
        Self { pass_refusals: false }
    }

    /// Sets whether a provider's refusal of a key (401, 402, 403) is passed on unchanged. Default: `false`, it
    /// becomes a 502.
    #[must_use]
    pub const fn pass_refusals(mut self, pass: bool) -> Self {
        self.pass_refusals = pass;
        self
    }
}

impl<S> Layer<S> for RespondLayer {
    type Service = Respond<S>;

    fn layer(&self, inner: S) -> Respond<S> {
        Respond { inner, pass_refusals: self.pass_refusals, unready: None }
    }
}

// === impl Respond ===

impl Respond<()> {
    /// Creates a [`RespondLayer`], as [`RespondLayer::new`] does.
    pub const fn layer() -> RespondLayer {
        RespondLayer::new()
    }
}

impl<S> Respond<S> {
    /// Wraps a service, with the defaults of [`RespondLayer::new`].
    pub const fn new(inner: S) -> Self {
        Self { inner, pass_refusals: false, unready: None }
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

impl<S, Request, B> Service<Request> for Respond<S>
where
    S: Service<Request, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Infallible;
    type Future = RespondFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.unready = ready!(self.inner.poll_ready(cx)).err().map(Into::into);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let state = match self.unready.take() {
            None => State::Calling { future: self.inner.call(request) },
            error => State::Unready { error },
        };
        RespondFuture { state, pass_refusals: self.pass_refusals }
    }
}

impl<S: Clone> Clone for Respond<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), pass_refusals: self.pass_refusals, unready: None }
    }
}

// === impl RespondFuture ===

impl<F, B, E> Future for RespondFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<B>>, Infallible>;

    /// # Panics
    ///
    /// Panics if it is polled after its completion.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = match this.state.as_mut().project() {
            StateProjection::Calling { future } => ready!(future.poll(cx)).map_err(Into::into),
            StateProjection::Unready { error } => match error.take() {
                Some(error) => Err(error),
                None => panic!("`RespondFuture` was polled after its completion"),
            },
        };
        this.state.set(State::Unready { error: None });
        Poll::Ready(Ok(match result {
            Ok(response) => delivered(response, *this.pass_refusals),
            Err(error) => {
                respond(error, *this.pass_refusals).map(|body| ResponseBody::erased(body.boxed_unsync()))
            }
        }))
    }
}

impl<F> fmt::Debug for RespondFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RespondFuture")
    }
}

/// Prepares a response for the caller. A 401 that is a fault of the key does not concern the caller and becomes
/// a 502.
fn delivered<B>(mut response: Response<B>, pass_refusals: bool) -> Response<ResponseBody<B>> {
    let served: Option<&Served> = response.extensions().get();
    let is_fault = served.is_some_and(|served| served.verdict().fault().is_some());
    if response.status() == StatusCode::UNAUTHORIZED && is_fault && !pass_refusals {
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response.headers_mut().remove(WWW_AUTHENTICATE);
    }
    response.map(ResponseBody::untouched)
}

/// Returns the response that reports an error: one of this crate, wherever it is among the sources, or one of
/// another layer.
fn respond(error: BoxError, pass_refusals: bool) -> Response<ErrorBody> {
    match error.downcast::<Error>() {
        Ok(error) if pass_refusals => error.into_response(),
        Ok(error) => error.into_gateway_response(),
        Err(error) => {
            let ours: Option<&Error> = sources(&error).find_map(|source| source.downcast_ref());
            ours.map_or_else(|| Summary::of_foreign(&error).response(), Error::to_response)
        }
    }
}
