//! Calling a link, within the time limit for the head of its response.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use tower::BoxError;
use tower_service::Service;

use crate::body::{ReplayBody, Upload};
use crate::exchange::context::ChainContext;
use crate::exchange::future::with_deadline;

/// The failure of calling a link.
pub(super) enum Failed {
    /// The link did not become ready, so nothing was sent.
    NotReady(Option<BoxError>),
    /// The call failed.
    Call(BoxError),
}

/// Drives the link's service to readiness and calls it. The call takes the request.
///
/// A link that has joined the chain's context applies the time limit itself: it may make several attempts, each of
/// which has the whole limit. The limit does not run while the chain waits for the caller to send the body.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
pub(super) fn link<S, B>(
    service: &mut S,
    request: &mut Option<Request<ReplayBody>>,
    context: &ChainContext,
    upload: &Upload,
) -> impl Future<Output = Result<Response<B>, Failed>>
where
    S: Service<Request<ReplayBody>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
{
    async move {
        if let Err(failed) = ready(service, context.head_timeout()).await {
            // Polling may have reserved something in the service, which must not be held until the chain's end.
            *service = service.clone();
            return Err(failed);
        }
        context.call();
        let call = service.call(request.take().unwrap_or_default());
        let mut call = pin!(call);
        let failed = |error: S::Error| Failed::Call(error.into());
        if let Poll::Ready(called) = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
            return called.map_err(failed);
        }
        // A link joins the context when it is first polled. One that has joined needs no second timer.
        if let Some(limit) = context.head_timeout().filter(|_| !context.is_joined()) {
            let late = match Box::pin(upload.limit(limit, Instant::now(), call.as_mut())).await {
                Ok(called) => return called.map_err(failed),
                Err(late) => late,
            };
            if !context.is_joined() {
                return Err(Failed::Call(late.into()));
            }
        }
        call.await.map_err(failed)
    }
}

async fn ready<S>(service: &mut S, limit: Option<Duration>) -> Result<(), Failed>
where
    S: Service<Request<ReplayBody>>,
    S::Error: Into<BoxError>,
{
    let not_ready = |error: S::Error| Failed::NotReady(Some(error.into()));
    let mut poll = |cx: &mut Context<'_>| service.poll_ready(cx).map_err(not_ready);
    // The service is usually ready, and needs no timer.
    if let Poll::Ready(ready) = poll_fn(|cx| Poll::Ready(poll(cx))).await {
        return ready;
    }
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    Box::pin(with_deadline(deadline, poll_fn(poll))).await.unwrap_or(Err(Failed::NotReady(None)))
}
