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
use crate::event::{EventKind, Severity};
use crate::exchange::future::with_deadline;
use crate::fallback::breaker::{BreakerOpen, BreakerPermit};
use crate::fallback::hold_back::hold_back;
use crate::fallback::judge::LinkOutcome;
use crate::fallback::link::{Chain, Link};
use crate::fallback::state::{ChainState, NextLink};
use crate::fallback::{call, commit, judge};
use crate::rotate::Served;

/// Gives a request to one link after the other until one serves it, or refuses it for good, or none is left.
///
/// What is rare is in a box, so that the future of a request that the first link serves is a small one.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
pub(super) fn drive<S, ReqBody, B>(
    mut first: S,
    mut state: ChainState<B>,
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
        let chain = Arc::clone(&state.chain);
        let mut now = state.begin(body).await;
        let mut served = None;
        while let Some(next) = state.next_step().filter(|_| !state.is_past_deadline(now)) {
            // Tokio's shortest sleep is a millisecond: not worth a step that is due.
            if !next.after.is_zero() {
                if with_deadline(state.deadline(), Box::pin(sleep(next.after))).await.is_err() {
                    return Err(state.deadline_passed());
                }
                now = Instant::now();
            }
            let deadline = state.deadline();
            let asked = ask_link(&mut first, &mut state, &chain, next, now, &mut served);
            let Ok(asked) = with_deadline(deadline, pin!(asked)).await else {
                state.cut_off(next, now);
                return Err(state.deadline_passed());
            };
            asked?;
            if let Some(response) = served {
                return Ok(response);
            }
            now = Instant::now();
        }
        Err(if state.is_past_deadline(Instant::now()) { state.deadline_passed() } else { state.failed() })
    }
}

/// Asks one link, `now`. If it serves the request, the response is put into `served`, where it stays: it is large,
/// and to hand it on from one future to the next costs more than most else here. If not, another may.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
fn ask_link<S, B>(
    first: &mut S,
    state: &mut ChainState<B>,
    chain: &Chain<B>,
    next: NextLink,
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
        let (link, upload) = (&chain.links[next.link], state.upload());
        state.turn_to(next);
        let (mut permit, began) = match enter(link, &upload, now).await {
            Ok(entered) => entered,
            Err(open) => {
                state.skip_open(next, open);
                return Ok(());
            }
        };
        let mut request = state.request();
        if let Err(unroutable) = state.direct(&mut request, link).await {
            return state.skip_unroutable(next, unroutable);
        }
        if permit.is_probe() {
            chain.emit(link, Severity::Change, || EventKind::BreakerHalfOpen);
        }
        state.report_fallback(link);
        let outcome = {
            let mut outcome = pin!(call_and_judge(first, &mut request, chain, next, state, served));
            if permit.is_probe() && !upload.has_ended() {
                Box::pin(probing(&mut permit, &upload, outcome.as_mut())).await
            } else {
                outcome.await
            }
        };
        let slot = match outcome {
            LinkOutcome::Served => None,
            LinkOutcome::Guarded(guarded) => {
                let (response, slot) = *guarded;
                *served = Some(response);
                Some(slot)
            }
            LinkOutcome::Failed(mut failed) => {
                failed.add_attempt(Instant::now().saturating_duration_since(began));
                if failed.is_providers_fault() {
                    failed_at(permit, link, chain);
                }
                return state.leave(next, *failed);
            }
            LinkOutcome::Ended(error) => return Err(error),
        };
        let now = Instant::now();
        link.latency.answered(now - began);
        if let Some(response) = served {
            commit::book(permit, response, slot.as_ref(), link, chain, now);
            state.deliver(response, link);
        }
        Ok(())
    }
}

/// Calls a link and judges the result. A response that is for the caller is put into `served`, unless the chain
/// has to guard it.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
fn call_and_judge<S, B>(
    first: &mut S,
    request: &mut Request<ReplayBody>,
    chain: &Chain<B>,
    next: NextLink,
    state: &ChainState<B>,
    served: &mut Option<Response<ResponseBody<B>>>,
) -> impl Future<Output = LinkOutcome<B>>
where
    S: Service<Request<ReplayBody>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async move {
        let (link, upload) = (&chain.links[next.link], state.upload());
        let called = match chain.other(next.link) {
            Some(mut other) => Box::pin(call::link(&mut other, request, &state.context, &upload)).await,
            None => call::link(first, request, &state.context, &upload).await,
        };
        let response = match called {
            Ok(response) if judge::is_the_callers(&response, chain, &state.context) => response,
            called => return Box::pin(judge::answer(called, link, chain, state)).await,
        };
        *served = Some(match state.hold_back.check(&response, state.deadline()) {
            None => response.map(ResponseBody::untouched),
            Some(check) => {
                let slot = Served::usage_slot_of(&response);
                match hold_back(response, slot, check, link).await {
                    Ok(response) => response,
                    Err(failed) => return LinkOutcome::Failed(failed),
                }
            }
        });
        LinkOutcome::Served
    }
}

/// The right to call a link, and since when there is one.
async fn enter(link: &Link, upload: &Upload, now: Instant) -> Result<(BreakerPermit, Instant), BreakerOpen> {
    let entered = link.breaker.enter(now.into());
    let needs_body = entered.as_ref().is_ok_and(|permit| link.route.renames() || permit.is_probe());
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
async fn probing<T>(permit: &mut BreakerPermit, upload: &Upload, answered: impl Future<Output = T>) -> T {
    match select(pin!(answered), pin!(upload.pauses())).await {
        Either::Left((answered, _)) => answered,
        Either::Right(((), answered)) => {
            permit.give_probe_back();
            answered.await
        }
    }
}

fn failed_at<B>(permit: BreakerPermit, link: &Link, chain: &Chain<B>) {
    if let Some(wait) = permit.failed(Instant::now().into()) {
        chain.emit(link, Severity::Change, || EventKind::BreakerOpened { wait });
    }
}
