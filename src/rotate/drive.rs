//! The straight line: one request from the caller to an answer.

use std::pin::pin;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::sleep;
use tower::BoxError;
use tower_service::Service;

use crate::body::{ReplayBody, ResponseBody};
use crate::classify::Classify;
use crate::error::{Error, StopReason};
use crate::exchange::future::with_deadline;
use crate::rotate::attempt::attempt;
use crate::rotate::state::{Next, RequestState};

/// Sends a request with one key after the other until it is served, refused for good, or no key is left.
///
/// `service` is the instance that was polled ready before the request came; it is driven to readiness again
/// for each later attempt.
///
/// What is rare is in a box, so that the future of a request that needs no rotation is a small one.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
pub(super) fn drive<S, C, ReqBody, ResBody>(
    mut service: S,
    classifier: C,
    mut state: RequestState<ResBody>,
    body: ReqBody,
) -> impl Future<Output = Result<Response<ResponseBody<ResBody>>, Error>>
where
    S: Service<Request<ReplayBody>, Response = Response<ResBody>>,
    S::Error: Into<BoxError>,
    C: Classify,
    ReqBody: Body + Send + 'static,
    ReqBody::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    async move {
        state.begin(body).await;
        let mut ready = true;
        loop {
            // A timer lets what it limits begin, even if it is late.
            if state.is_late() {
                return Err(state.failed(StopReason::Deadline));
            }
            let mut lease = match state.next_key().await {
                Ok(lease) => lease,
                Err(why) => return state.end(why),
            };
            let mut audit = state.audit(&lease);
            let deadline = state.own_deadline();
            let attempt = attempt(&mut service, ready, &mut state, &mut lease, &classifier);
            let Ok(tried) = with_deadline(deadline, pin!(attempt)).await else {
                // Said before what comes of it.
                drop(audit);
                state.cut_off(&lease);
                return Err(state.failed(StopReason::Deadline));
            };
            let tried = tried.inspect_err(|_unsent| {
                lease.set_unsent();
                audit.forget();
            })?;
            let next = state.settle(&mut lease, tried, audit);
            drop(lease);
            let wait = match next {
                Next::Deliver(answer) => return Ok(answer),
                Next::Rotate => None,
                Next::Retry(wait) => Some(wait),
                Next::GiveUp(why) => return state.end(why),
                Next::Fail(error) => return Err(error),
            };
            if let Some(wait) = wait
                && with_deadline(state.own_deadline(), Box::pin(sleep(wait))).await.is_err()
            {
                return Err(state.failed(StopReason::Deadline));
            }
            ready = false;
        }
    }
}
