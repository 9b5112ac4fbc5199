//! Errors into responses.
//!
//! Inside a server an error has to become an answer somewhere, and the most telling one is usually what
//! the provider said last. [`RespondLayer`] makes the services of this crate infallible that way, which is
//! also what axum asks of a service.
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
//! // The key is cooling: nobody is asked, and the answer says for how long.
//! let second = service.oneshot(request()?).await?;
//! assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
//! assert_eq!(second.headers()["retry-after"], "20");
//! # Ok(())
//! # }
//! ```

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use pin_project_lite::pin_project;
use serde_json::json;
use tower::BoxError;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::ResponseBody;
use crate::error::{AllKeysFailed, Error, GaveUp};
use crate::fallback::AllProvidersFailed;

/// Read by the official SDKs of OpenAI and Anthropic before `retry-after`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Turns the errors of the services of this crate into responses.
#[derive(Clone, Copy, Debug, Default)]
pub struct RespondLayer {
    _private: (),
}

/// A service whose errors are responses; see the [module docs](self).
#[derive(Debug)]
pub struct Respond<S> {
    inner: S,
    /// Why the inner service is not ready: the answer to the next call, which must not reach it.
    unready: Option<Error>,
}

pin_project! {
    /// The future of [`Respond`].
    #[must_use = "futures do nothing unless polled"]
    pub struct RespondFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Calling { #[pin] future: F },
        Unready { error: Option<Error> },
    }
}

// === impl RespondLayer ===

impl RespondLayer {
    /// Turns every error into a response.
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl<S> Layer<S> for RespondLayer {
    type Service = Respond<S>;

    fn layer(&self, inner: S) -> Respond<S> {
        Respond { inner, unready: None }
    }
}

// === impl Respond ===

impl<S, Request, B> Service<Request> for Respond<S>
where
    S: Service<Request, Response = Response<ResponseBody<B>>, Error = Error>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = Infallible;
    type Future = RespondFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.unready = ready!(self.inner.poll_ready(cx)).err();
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let state = match self.unready.take() {
            None => State::Calling { future: self.inner.call(request) },
            error => State::Unready { error },
        };
        RespondFuture { state }
    }
}

impl<S: Clone> Clone for Respond<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), unready: None }
    }
}

// === impl RespondFuture ===

impl<F, B> Future for RespondFuture<F>
where
    F: Future<Output = Result<Response<ResponseBody<B>>, Error>>,
{
    type Output = Result<Response<ResponseBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match self.project().state.project() {
            StateProjection::Calling { future } => ready!(future.poll(cx)),
            StateProjection::Unready { error } => match error.take() {
                Some(error) => Err(error),
                None => return Poll::Pending,
            },
        };
        Poll::Ready(Ok(answer.unwrap_or_else(|error| error.into_response().map(ResponseBody::erased))))
    }
}

impl<F> fmt::Debug for RespondFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RespondFuture")
    }
}

// === into_response ===

impl Error {
    /// The response that says this: the provider's last answer if there is one, else a JSON error. What
    /// it says of when to try again is true of the whole pool, not of the key that was refused last.
    ///
    /// | error | status without an answer of the provider |
    /// |---|---|
    /// | [`AllKeysFailed`](Self::AllKeysFailed) | 503, or 504 if the deadline has passed |
    /// | [`AllProvidersFailed`](Self::AllProvidersFailed) | 429 if all were limits, 504 if the deadline has passed, else 503; also if several answered |
    /// | [`Body`](Self::Body) | 400 |
    /// | [`Stamp`](Self::Stamp) | 500 |
    /// | [`Service`](Self::Service) | 503 |
    pub fn into_response(self) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
        match self {
            Self::AllKeysFailed(failed) => failed.into_response(),
            Self::AllProvidersFailed(failed) => failed.into_response(),
            Self::Body(_) => json_error(StatusCode::BAD_REQUEST, "request_body_failed", &self.to_string()),
            Self::Stamp(_) => {
                json_error(StatusCode::INTERNAL_SERVER_ERROR, "foreign_origin", &self.to_string())
            }
            Self::Service(_) => json_error(StatusCode::SERVICE_UNAVAILABLE, "not_ready", &self.to_string()),
        }
    }
}

impl AllKeysFailed {
    /// The response that says this; see [`Error::into_response`].
    pub fn into_response(mut self) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
        let retry_after = self.retry_after();
        let last = self.last_response.take().map(|last| last.0.into_inner());
        let mut response = last.unwrap_or_else(|| {
            let status = match self.gave_up() {
                GaveUp::Deadline => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            let message =
                format!("no key of {} could serve the request: {}", self.provider(), self.gave_up());
            json_error(status, self.gave_up().as_str(), &message)
        });
        set_retry_after(response.headers_mut(), retry_after);
        response
    }
}

impl AllProvidersFailed {
    /// The response that says this; see [`Error::into_response`].
    pub fn into_response(mut self) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
        let retry_after = self.retry_after();
        let only = self.take_only_response().map(|only| only.0.into_inner());
        let mut response = only.unwrap_or_else(|| {
            let (status, code) = match () {
                () if self.deadline_passed() => (StatusCode::GATEWAY_TIMEOUT, "deadline"),
                () if self.is_all_limits() => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"),
                () => (StatusCode::SERVICE_UNAVAILABLE, "all_providers_failed"),
            };
            json_error(status, code, "no provider could serve the request")
        });
        set_retry_after(response.headers_mut(), retry_after);
        response
    }
}

fn set_retry_after(headers: &mut HeaderMap, wait: Option<Duration>) {
    headers.remove(RETRY_AFTER);
    headers.remove(RETRY_AFTER_MS);
    if let Some(wait) = wait {
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        headers.insert(RETRY_AFTER_MS, HeaderValue::from(ms));
    }
}

/// An error in the shape that OpenAI's clients read, as most others do.
fn json_error(status: StatusCode, code: &str, message: &str) -> Response<UnsyncBoxBody<Bytes, BoxError>> {
    let body =
        json!({"error": {"message": message, "type": "key_rotation_error", "param": null, "code": code}});
    let mut response =
        Response::new(Full::from(body.to_string()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
