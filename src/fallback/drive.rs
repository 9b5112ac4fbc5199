//! The straight line: one request down the chain.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{Request, Response};
use http_body::Body;
use tokio::time::{Instant, sleep};
use tower::BoxError;
use tower_service::Service;

use super::breaker::Passage;
use super::judge::Judged;
use super::trip::{Step, Trip};
use super::{call, commit, judge};
use crate::body::{ReplayBody, ResponseBody, Upload};
use crate::error::Error;
use crate::event::{Kind, Severity};
use crate::future::before;

/// Gives a request to one link after the other until one serves it, or refuses it for good, or none is left.
///
/// What is rare is in a box, so that the future of a request that the first link serves is a small one.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
pub(super) fn drive<S, ReqBody, B>(
    mut first: S,
    mut trip: Trip<B>,
    body: ReqBody,
) -> impl Future<Output = Result<Response<ResponseBody<B>>, Error>>
where
    S: Service<Request<ReplayBody>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    ReqBody: Body + Send + 'static,
    ReqBody::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async move {
        let chain = Arc::clone(&trip.chain);
        let mut now = trip.begin(body).await;
        while let Some(Step { link: at, after, may_wait }) =
            trip.next_step().filter(|_| !trip.is_past_deadline(now))
        {
            // Tokio's shortest sleep is a millisecond: not worth a step that is due.
            if !after.is_zero() {
                if before(trip.deadline(), Box::pin(sleep(after))).await.is_err() {
                    return Err(trip.deadline_passed());
                }
                now = Instant::now();
            }
            let link = &chain.links[at];
            let mut entered = link.breaker.enter(now.into());
            let upload = trip.upload();
            let needs_body = link.route.renames() || entered.as_ref().is_ok_and(Passage::is_probe);
            if needs_body && !upload.has_ended() {
                // Others need the probe: it is not held while a caller takes its time to send the body.
                drop(entered);
                if before(trip.deadline(), Box::pin(upload.record())).await.is_err() {
                    return Err(trip.deadline_passed());
                }
                now = Instant::now();
                entered = link.breaker.enter(now.into());
            }
            let mut passage = match entered {
                Ok(passage) => passage,
                Err(open) => {
                    trip.skip_open(at, open.retry_after);
                    continue;
                }
            };
            let mut request = trip.request();
            if let Err(unroutable) = trip.direct(&mut request, link, may_wait).await {
                trip.skip_unroutable(at, unroutable)?;
                now = Instant::now();
                continue;
            }
            if passage.is_probe() {
                chain.emit(link, Severity::Change, || Kind::BreakerHalfOpen);
            }
            trip.say_fell_over(link);
            let answered = async {
                let called = match chain.other(at) {
                    Some(mut other) => {
                        Box::pin(call::link(&mut other, &mut request, &trip.ticket, &upload)).await
                    }
                    None => call::link(&mut first, &mut request, &trip.ticket, &upload).await,
                };
                let response = match judge::as_it_came(called, &chain, &trip.ticket) {
                    Ok(response) => response,
                    Err(called) => return Box::pin(judge::answer(called, link, &chain, &trip)).await,
                };
                match trip.hold_back.check(&response) {
                    None => Judged::Served(response.map(ResponseBody::untouched)),
                    Some(check) => judge::held(response, check, link).await,
                }
            };
            let answered = if passage.is_probe() && !upload.has_ended() {
                let probing = Box::pin(probing(&mut passage, &upload, answered));
                before(trip.deadline(), probing).await
            } else {
                before(trip.deadline(), pin!(answered)).await
            };
            let Ok(judged) = answered else {
                trip.cut_off(at);
                return Err(trip.deadline_passed());
            };
            now = Instant::now();
            match judged {
                Judged::Served(mut response) => {
                    commit::book(passage, &response, None, link, &chain, now);
                    trip.deliver(&mut response, link);
                    return Ok(response);
                }
                Judged::Guarded(guarded) => {
                    let (mut response, cell) = *guarded;
                    commit::book(passage, &response, Some(&cell), link, &chain, now);
                    trip.deliver(&mut response, link);
                    return Ok(response);
                }
                Judged::Left(failed) => {
                    if failed.is_providers_fault()
                        && let Some(wait) = passage.failed(now.into())
                    {
                        chain.emit(link, Severity::Change, || Kind::BreakerOpened { wait });
                    }
                    trip.leave(at, *failed)?;
                }
                Judged::Ended(error) => return Err(error),
            }
        }
        Err(if trip.is_past_deadline(Instant::now()) { trip.deadline_passed() } else { trip.failed() })
    }
}

/// The output of a call that is the breaker's probe: given back if the caller pauses in the middle of the body.
async fn probing<T>(passage: &mut Passage, upload: &Upload, answered: impl Future<Output = T>) -> T {
    match select(pin!(answered), pin!(upload.pauses())).await {
        Either::Left((answered, _)) => answered,
        Either::Right(((), answered)) => {
            passage.give_probe_back();
            answered.await
        }
    }
}
