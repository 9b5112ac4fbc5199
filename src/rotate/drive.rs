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
use crate::rotate::acquire::next_key;
use crate::rotate::attempt::attempt;
use crate::rotate::secret;
use crate::rotate::settle::{Next, settle};
use crate::rotate::state::RequestState;
use crate::rotate::unserved::{cut_off, end, failed, unsent};

/// Sends a request with one key after another until it is served, is refused for its own sake, or no key is
/// left.
///
/// `service` is the instance that was polled ready before the request came. It is driven to readiness again
/// for each later attempt. Rare parts are boxed, which keeps the future of a request without rotation small.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
#[expect(clippy::blocks_in_conditions, reason = "the future would have room for the attempt in its arms too")]
pub(super) fn drive<S, C, ReqBody, ResBody>(
    mut service: S,
    classifier: C,
    mut state: RequestState<ResBody>,
    body: ReqBody,
) -> impl Future<Output = Result<Response<ResponseBody<ResBody>>, Error>>
where
    S: Service<Request<ReplayBody>, Response = Response<ResBody>, Error: Into<BoxError>>,
    C: Classify,
    ReqBody: Body<Error: Into<BoxError>> + Send + 'static,
    ResBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    async move {
        state.begin(body).await;
        let (mut ready, mut held) = (true, None);
        loop {
            // A timer polls its future once, even if its time is over. A retry's pause ends here too.
            if state.is_late() {
                return Err(failed(state, StopReason::Deadline));
            }
            // In a block, because the future would otherwise have room for its variables during the sleep.
            let next = {
                let lease = match next_key(&mut state, &mut held).await {
                    Ok(lease) => lease,
                    Err(reason) => return end(state, reason),
                };
                let audit = state.audit(lease);
                let deadline = state.request.own_deadline();
                let (tried, refused) = match {
                    let attempt = attempt(&mut service, &mut ready, &mut state, lease, &classifier);
                    with_deadline(deadline, pin!(attempt)).await.ok()
                } {
                    Some(Ok(tried)) => {
                        let refused = secret::refused(&state, lease, &tried.verdict);
                        (tried, refused)
                    }
                    Some(Err(error)) => return Err(unsent(state, lease, audit, error)),
                    None => return Err(cut_off(state, lease, audit)),
                };
                if let Some(refused) = refused
                    && let Some(issued) = secret::renewal(&state, refused).await
                {
                    secret::keep(&mut state, lease, issued, tried, audit);
                    continue;
                }
                settle(&mut state, lease, tried, audit)
            };
            held = None;
            match next {
                Next::Deliver(response) => return Ok(response),
                Next::GiveUp(reason) => return end(state, reason),
                Next::Fail(error) => return Err(error),
                Next::Rotate => {}
                Next::Retry(wait) => {
                    let _late = with_deadline(state.request.own_deadline(), Box::pin(sleep(wait))).await;
                }
            }
        }
    }
}
