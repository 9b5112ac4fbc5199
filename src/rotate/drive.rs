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
use crate::error::{Error, GaveUp};
use crate::future::before;
use crate::rotate::attempt::attempt;
use crate::rotate::journey::{Journey, Next};

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
    mut journey: Journey<ResBody>,
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
        journey.begin(body).await;
        let mut ready = true;
        loop {
            // A timer lets what it limits begin, even if it is late.
            if journey.is_late() {
                return Err(journey.failed(GaveUp::Deadline));
            }
            let mut lease = match journey.next_key().await {
                Ok(lease) => lease,
                Err(why) => return journey.end(why),
            };
            let mut audit = journey.audit(&lease);
            let deadline = journey.own_deadline();
            let attempt = attempt(&mut service, ready, &mut journey, &mut lease, &classifier);
            let Ok(tried) = before(deadline, pin!(attempt)).await else {
                // Said before what comes of it.
                drop(audit);
                journey.cut_off(&lease);
                return Err(journey.failed(GaveUp::Deadline));
            };
            let tried = tried.inspect_err(|_unsent| {
                lease.set_unsent();
                audit.forget();
            })?;
            let wait = match journey.settle(lease, tried, audit) {
                Next::Deliver(answer) => return Ok(answer),
                Next::Rotate => None,
                Next::Retry(wait) => Some(wait),
                Next::GiveUp(why) => return journey.end(why),
                Next::Fail(error) => return Err(error),
            };
            if let Some(wait) = wait
                && before(journey.own_deadline(), Box::pin(sleep(wait))).await.is_err()
            {
                return Err(journey.failed(GaveUp::Deadline));
            }
            ready = false;
        }
    }
}
