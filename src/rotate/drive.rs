//! The straight line: one request from the caller to an answer.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::sleep;
use tower::BoxError;
use tower_service::Service;

use super::attempt::{attempt, before};
use super::audit::Audit;
use super::journey::{Journey, Next};
use super::layer::Config;
use super::request::Template;
use crate::body::{ReplayBody, ResponseBody};
use crate::classify::Classify;
use crate::error::{Error, GaveUp};

/// Sends a request with one key after the other until it is served, refused for good, or no key is left.
///
/// `service` is the instance that was polled ready before the request came; it is driven to readiness again
/// for each later attempt.
pub(super) async fn drive<S, C, ReqBody, ResBody>(
    mut service: S,
    classifier: C,
    config: Arc<Config>,
    request: Request<ReqBody>,
) -> Result<Response<ResponseBody<ResBody>>, Error>
where
    S: Service<Request<ReplayBody>, Response = Response<ResBody>>,
    S::Error: Into<BoxError>,
    C: Classify,
    ReqBody: Body + Send + 'static,
    ReqBody::Error: Into<BoxError>,
    ResBody: Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    let request = Template::new(request, config.replay_cap).await;
    // A chain around this layer watches the deadline, and drops this future when it passes.
    let deadline = request.deadline().filter(|_| request.ticket().is_none());
    let mut journey = Journey::begin(&config, request);
    let mut ready = true;
    loop {
        let lease = match journey.next_key().await {
            Ok(lease) => lease,
            Err(why) => return Err(journey.failed(why)),
        };
        let stamped = journey.request.stamp(&lease)?;
        let mut audit = Audit::begin(&config.pool, &lease);
        let attempt = attempt(&mut service, ready, stamped, &classifier, journey.bounds(), &lease);
        let Some(tried) = before(deadline, attempt).await else {
            // Said before what comes of it.
            drop(audit);
            return Err(journey.failed(GaveUp::Deadline));
        };
        let tried = tried.inspect_err(|_unsent| audit.forget())?;
        match journey.settle(lease, tried, audit)? {
            Next::Deliver(response) => return Ok(response),
            Next::Rotate => {}
            Next::Retry(wait) => {
                if before(deadline, sleep(wait)).await.is_none() {
                    return Err(journey.failed(GaveUp::Deadline));
                }
            }
            Next::GiveUp(why) => return Err(journey.failed(why)),
        }
        ready = false;
    }
}
