//! The response future shared by both layers.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::Either;
use http::Response;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use crate::body::ResponseBody;
use crate::error::Error;

/// The response future of both layers.
///
/// Dropping it at any point releases the key and the permits that it holds, and blames no key.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<B>(Pin<Box<dyn Future<Output = Answer<B>> + Send>>);

type Answer<B> = Result<Response<ResponseBody<B>>, Error>;

/// Awaits the future until the deadline.
///
/// The timer is boxed because it is several times as large as the rest of a request's timing state, and some
/// requests have no deadline.
pub(crate) fn with_deadline<F: Future + Unpin>(
    deadline: Option<Instant>,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> + Unpin {
    match deadline {
        Some(deadline) => Either::Left(Box::pin(timeout_at(deadline, future))),
        None => Either::Right(future.map(Ok)),
    }
}

// === impl ResponseFuture ===

impl<B> ResponseFuture<B> {
    pub(crate) fn new(future: impl Future<Output = Answer<B>> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl<B> Future for ResponseFuture<B> {
    type Output = Answer<B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<B> fmt::Debug for ResponseFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
