//! The course of one request through rotation: acquire a key, attempt, settle, decide.

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
use crate::pool::Lease;
use crate::rotate::acquire::next_key;
use crate::rotate::attempt::attempt;
use crate::rotate::secret;
use crate::rotate::settle::{Next, settle};
use crate::rotate::state::RequestState;
use crate::rotate::unserved::{cut_off, end, failed};

/// Sends a request with one key after another until it is served, is refused for its own sake, or no key is
/// left.
///
/// `service` is the instance that was polled ready before the request came. It is driven to readiness again
/// for each later attempt. Rare parts are boxed, which keeps the future of a request without rotation small.
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
        // A lease whose secret was renewed, for another attempt.
        let mut kept: Option<Box<Lease>> = None;
        loop {
            // A timer polls its future once, even if its time is over.
            if state.is_late() {
                return Err(failed(state, StopReason::Deadline));
            }
            let next = match kept.take() {
                Some(lease) => Ok(*lease),
                None => next_key(&mut state).await,
            };
            let mut lease = match next {
                Ok(lease) => lease,
                Err(reason) => return end(state, reason),
            };
            if !lease.has_secret() {
                match Box::pin(secret::fetch(&mut state, &mut lease)).await {
                    Ok(()) => {}
                    Err(None) => continue,
                    Err(Some(reason)) => return end(state, reason),
                }
            }
            let mut audit = state.audit(&lease);
            let deadline = state.request.own_deadline();
            let attempt = attempt(&mut service, ready, &mut state, &mut lease, &classifier);
            let Ok(tried) = with_deadline(deadline, pin!(attempt)).await else {
                // The audit reports the end of the attempt before the error is made.
                drop(audit);
                cut_off(&mut state, &lease);
                return Err(failed(state, StopReason::Deadline));
            };
            let tried = tried.inspect_err(|_unsent| {
                lease.set_unsent();
                audit.forget();
            })?;
            if let Some(renewal) = secret::renewal(&state, &lease, &tried.verdict)
                && let Some(issued) = renewal.await
            {
                secret::note_outdated(&mut state, &lease, tried, audit);
                lease.set_issued(issued);
                kept = Some(Box::new(lease));
                ready = false;
                continue;
            }
            let next = settle(&mut state, &mut lease, tried, audit);
            drop(lease);
            let wait = match next {
                Next::Deliver(response) => return Ok(response),
                Next::Rotate => None,
                Next::Retry(wait) => Some(wait),
                Next::GiveUp(reason) => return end(state, reason),
                Next::Fail(error) => return Err(error),
            };
            if let Some(wait) = wait
                && with_deadline(state.request.own_deadline(), Box::pin(sleep(wait))).await.is_err()
            {
                return Err(failed(state, StopReason::Deadline));
            }
            ready = false;
        }
    }
}
