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

use crate::body::{ReplayBody, ResponseBody, Upload};
use crate::error::Error;
use crate::event::{Kind, Severity};
use crate::fallback::breaker::{Open, Passage};
use crate::fallback::hold_back::hold_back;
use crate::fallback::judge::Judged;
use crate::fallback::link::{Chain, Link};
use crate::fallback::trip::{Step, Trip};
use crate::fallback::{call, commit, judge};
use crate::future::before;
use crate::rotate::Served;

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
        let mut served = None;
        while let Some(step) = trip.next_step().filter(|_| !trip.is_past_deadline(now)) {
            // Tokio's shortest sleep is a millisecond: not worth a step that is due.
            if !step.after.is_zero() {
                if before(trip.deadline(), Box::pin(sleep(step.after))).await.is_err() {
                    return Err(trip.deadline_passed());
                }
                now = Instant::now();
            }
            let deadline = trip.deadline();
            let asked = ask_link(&mut first, &mut trip, &chain, step, now, &mut served);
            let Ok(asked) = before(deadline, pin!(asked)).await else {
                trip.cut_off(step, now);
                return Err(trip.deadline_passed());
            };
            asked?;
            if let Some(response) = served {
                return Ok(response);
            }
            now = Instant::now();
        }
        Err(if trip.is_past_deadline(Instant::now()) { trip.deadline_passed() } else { trip.failed() })
    }
}

/// Asks one link, `now`. If it serves the request, the response is put into `served`, where it stays: it is large,
/// and to hand it on from one future to the next costs more than most else here. If not, another may.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
fn ask_link<S, B>(
    first: &mut S,
    trip: &mut Trip<B>,
    chain: &Chain<B>,
    step: Step,
    now: Instant,
    served: &mut Option<Response<ResponseBody<B>>>,
) -> impl Future<Output = Result<(), Error>>
where
    S: Service<Request<ReplayBody>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async move {
        let (link, upload) = (&chain.links[step.link], trip.upload());
        trip.turn_to(step);
        let (mut passage, began) = match enter(link, &upload, now).await {
            Ok(entered) => entered,
            Err(open) => {
                trip.skip_open(step, open);
                return Ok(());
            }
        };
        let mut request = trip.request();
        if let Err(unroutable) = trip.direct(&mut request, link).await {
            return trip.skip_unroutable(step, unroutable);
        }
        if passage.is_probe() {
            chain.emit(link, Severity::Change, || Kind::BreakerHalfOpen);
        }
        trip.say_fell_over(link);
        let answered = async {
            let called = match chain.other(step.link) {
                Some(mut other) => {
                    Box::pin(call::link(&mut other, &mut request, &trip.ticket, &upload)).await
                }
                None => call::link(first, &mut request, &trip.ticket, &upload).await,
            };
            let response = match called {
                Ok(response) if judge::is_the_callers(&response, chain, &trip.ticket) => response,
                called => return Box::pin(judge::answer(called, link, chain, trip)).await,
            };
            *served = Some(match trip.hold_back.check(&response, trip.deadline()) {
                None => response.map(ResponseBody::untouched),
                Some(check) => {
                    let cell = Served::cell_of(&response);
                    match hold_back(response, cell, check, link).await {
                        Ok(response) => response,
                        Err(failed) => return Judged::Left(failed),
                    }
                }
            });
            Judged::Served
        };
        let judged = if passage.is_probe() && !upload.has_ended() {
            Box::pin(probing(&mut passage, &upload, answered)).await
        } else {
            answered.await
        };
        let cell = match judged {
            Judged::Served => None,
            Judged::Guarded(guarded) => {
                let (response, cell) = *guarded;
                *served = Some(response);
                Some(cell)
            }
            Judged::Left(mut failed) => {
                failed.add_attempt(Instant::now().saturating_duration_since(began));
                if failed.is_providers_fault() {
                    failed_at(passage, link, chain);
                }
                return trip.leave(step, *failed);
            }
            Judged::Ended(error) => return Err(error),
        };
        let now = Instant::now();
        link.pace.answered(now - began);
        if let Some(response) = served {
            commit::book(passage, response, cell.as_ref(), link, chain, now);
            trip.deliver(response, link);
        }
        Ok(())
    }
}

/// The right to call a link, and since when there is one.
async fn enter(link: &Link, upload: &Upload, now: Instant) -> Result<(Passage, Instant), Open> {
    let entered = link.breaker.enter(now.into());
    let needs_body = entered.as_ref().is_ok_and(|passage| link.route.renames() || passage.is_probe());
    if !needs_body || upload.has_ended() {
        return Ok((entered?, now));
    }
    // Others need the probe: it is not held while a caller takes its time to send the body.
    drop(entered);
    Box::pin(upload.record()).await;
    let now = Instant::now();
    Ok((link.breaker.enter(now.into())?, now))
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

fn failed_at<B>(passage: Passage, link: &Link, chain: &Chain<B>) {
    if let Some(wait) = passage.failed(Instant::now().into()) {
        chain.emit(link, Severity::Change, || Kind::BreakerOpened { wait });
    }
}
