//! The course of one request through a chain: choose a link, call it, judge the response, commit.

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
use crate::exchange::served::Served;
use crate::fallback::breaker::{BreakerOpen, BreakerPermit};
use crate::fallback::hold_back::read;
use crate::fallback::judge::LinkOutcome;
use crate::fallback::link::{Chain, Link};
use crate::fallback::state::ChainState;
use crate::fallback::state::next_link::NextLink;
use crate::fallback::{after_commit, call, judge};

/// Sends a request to one link after another until one serves it or refuses it for its own sake, or no link is
/// left.
///
/// Rare parts are boxed, which keeps the future of a request that the first link serves small.
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
            // A sleep takes at least one millisecond, so a step that is due does not sleep.
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

/// Gives one link its turn. If the link serves the request, its response is put into `served`: the response is
/// large, and returning it from one future to the next would copy it each time. Fails if no other link may be
/// called.
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
        let (mut began, mut entered) = (now, link.breaker.enter(now));
        if needs_body(link, &entered) && !upload.has_ended() {
            // A probe is not held while the caller takes its time to send the body.
            drop(entered);
            Box::pin(upload.record()).await;
            began = Instant::now();
            entered = link.breaker.enter(began);
        }
        let mut permit = match entered {
            Ok(permit) => permit,
            Err(open) => {
                state.skip_open(next, open);
                return Ok(());
            }
        };
        let mut request = Some(state.request());
        if let Err(unroutable) = state.direct(&mut request, link).await {
            return state.skip_unroutable(next, unroutable);
        }
        if permit.is_probe() {
            chain.emit(link, Severity::Change, || EventKind::BreakerHalfOpen);
        }
        state.report_fallback(link);
        let outcome = {
            let mut called = pin!(call_link(first, &mut request, state, chain, next, served));
            if permit.is_probe() && !upload.has_ended() {
                Box::pin(probing(&mut permit, &upload, called.as_mut())).await
            } else {
                called.await
            }
        };
        settle(state, chain, next, (permit, began), outcome, served)
    }
}

/// Calls a link, judges its response, and reads the response until its commit.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
fn call_link<S, B>(
    first: &mut S,
    request: &mut Option<Request<ReplayBody>>,
    state: &ChainState<B>,
    chain: &Chain<B>,
    next: NextLink,
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
        // The response is moved on before anything is awaited, because the future would otherwise have room for it.
        let reading = match called {
            Ok(response) if judge::is_the_callers(&response, chain, state) => {
                match state.hold_back.check(&response, state.deadline()) {
                    Some(check) => read(response, check, link),
                    None => {
                        *served = Some(response.map(ResponseBody::untouched));
                        return LinkOutcome::Served;
                    }
                }
            }
            called => return Box::pin(judge::judge(called, link, chain, state)).await,
        };
        match reading.await {
            Ok(response) => *served = Some(response),
            Err(failed) => return LinkOutcome::Failed(failed),
        }
        LinkOutcome::Served
    }
}

/// Settles the permit of the breaker with the outcome of a call. Fails if no other link may be called.
fn settle<B>(
    state: &mut ChainState<B>,
    chain: &Chain<B>,
    next: NextLink,
    (permit, began): (BreakerPermit, Instant),
    outcome: LinkOutcome<B>,
    served: &mut Option<Response<ResponseBody<B>>>,
) -> Result<(), Error>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let link = &chain.links[next.link];
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
        // With a commit to heads, a rotation layer inside has done so.
        let has_done = state.context.is_joined() && !state.hold_back.looks_into_streams();
        if !has_done && state.hold_back.has_body(response.status()) {
            after_commit::forget_length(response);
        }
        let status = response.status();
        let served = response.extensions_mut().get_mut::<Served>();
        let own = state.deliver(served, link);
        after_commit::book(permit, status, slot.as_ref().or(own), link, chain, now);
    }
    Ok(())
}

/// Returns whether the whole body is needed before the link is called.
fn needs_body(link: &Link, entered: &Result<BreakerPermit, BreakerOpen>) -> bool {
    entered.as_ref().is_ok_and(|permit| link.route.renames() || permit.is_probe())
}

/// Awaits a call that is the probe of a breaker, and gives the probe back if the caller pauses within the body.
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
