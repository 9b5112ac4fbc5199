//! The judgement of a link's response, for the chain.
//!
//! A rotation layer inside has already judged the response by its provider's rules, and states the verdict in
//! [`Served`] or in its error. The responses of other links are judged by the rules for providers in
//! general.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;
use tower::BoxError;

use crate::body::{ResponseBody, RestLimits, UsageSlot};
use crate::classify::transport;
use crate::classify::transport::Nature;
use crate::classify::{Fault, Outcome, Reason, Rejection, Scope, Verdict};
use crate::clock::Timestamp;
use crate::error::ProviderFailed;
use crate::error::SkipReason;
use crate::error::{Error, LastResponse};
use crate::exchange::context::ChainContext;
use crate::exchange::inspect::{Inspector, classify, forget_length, into_parts, is_stream};
use crate::exchange::served::Served;
use crate::fallback::after_commit;
use crate::fallback::call::Failed;
use crate::fallback::hold_back::{self, hold_back};
use crate::fallback::link::{Chain, Link};
use crate::fallback::settings::ContextLength;
use crate::fallback::state::ChainState;
use crate::provider::Unroutable;

/// The outcome of calling a link.
pub(super) enum LinkOutcome<B> {
    /// The response is the caller's, guarded by the layer inside. It has been stored for the caller.
    Served,
    /// The response is the caller's, guarded by the chain. The slot receives the end of its body.
    Guarded(Box<(Response<ResponseBody<B>>, UsageSlot)>),
    /// The link did not serve the request; another one may.
    Failed(Box<ProviderFailed>),
    /// No link can serve the request.
    Ended(Error),
}

/// The result of calling a link.
type Called<B> = Result<Response<B>, Failed>;

/// Returns whether a rotation layer inside has judged the response to be the caller's, and guards it. All other
/// results have to be [judged](judge).
pub(super) fn is_the_callers<B>(response: &Response<B>, chain: &Chain<B>, state: &ChainState<B>) -> bool {
    let served = response.extensions().get::<Served>().filter(|_| state.context.is_joined());
    let is_final = |verdict| refused(response.status(), verdict, chain, state).is_none();
    served.is_some_and(|served| served.is_guarded() && is_final(served.verdict()))
}

/// Judges the result of calling a link, and reads the response until its commit.
///
/// A response that was given up is kept until the deadline.
pub(super) async fn judge<B>(
    called: Called<B>,
    link: &Arc<Link>,
    chain: &Chain<B>,
    state: &ChainState<B>,
) -> LinkOutcome<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let name = || Arc::clone(&link.name);
    let context = &state.context;
    let (verdict, mut response) = match called {
        Ok(response) if context.is_joined() => judged_inside(response),
        Ok(response) => {
            context.take_attempt();
            judged_here(response, chain, state).await
        }
        Err(Failed::Call(error)) => return failed(error, name(), chain, context).await,
        Err(Failed::NotReady(source)) => {
            let Some(error) = source else {
                return LinkOutcome::left(ProviderFailed::new(name(), SkipReason::NotReady));
            };
            return not_ready(error, name());
        }
    };
    let Some(because) = refused(response.status(), &verdict, chain, state) else {
        let joined = context.is_joined();
        if !joined {
            if is_stream(&response) {
                forget_length(&mut response);
            }
            let limits = RestLimits::new(context.idle_timeout(), state.deadline());
            ResponseBody::limit(&mut response, limits);
        }
        let slot = after_commit::guard(&mut response, link, state);
        if let Some(check) = state.hold_back.check(&response, state.deadline()) {
            let (mut head, body) = response.into_parts();
            match hold_back(body, slot.clone(), check).await {
                Ok(held) => response = Response::from_parts(head, ResponseBody::erased(held.erase())),
                Err(error) => return LinkOutcome::Failed(hold_back::failed(error, &mut head, link)),
            }
        }
        return LinkOutcome::Guarded(Box::new((response, slot)));
    };
    let retry_after = if let SkipReason::Fault(fault) = &because { fault.retry_after() } else { None };
    let limits = RestLimits::new(context.idle_timeout(), state.deadline());
    let status = Some(response.status());
    let is_kept = because != SkipReason::NotFound || !state.has_failed();
    let last_response =
        if is_kept { LastResponse::new(response.map(ResponseBody::erase), limits) } else { None };
    LinkOutcome::left(ProviderFailed {
        status,
        retry_after,
        last_response,
        ..ProviderFailed::new(name(), because)
    })
}

/// Returns the reason for which the response is not the caller's. `None` if it is.
fn refused<B>(
    status: StatusCode,
    verdict: &Verdict,
    chain: &Chain<B>,
    state: &ChainState<B>,
) -> Option<SkipReason> {
    match verdict {
        Verdict::Success => None,
        Verdict::Rejected(Rejection::ContextLength)
            if chain.settings.context_length == ContextLength::FallOver =>
        {
            Some(SkipReason::ContextLength)
        }
        Verdict::Fault(fault) if !state.context.is_joined() && fault.scope() != Scope::None => {
            Some(SkipReason::Fault(fault.clone()))
        }
        _ if state.looks_further(status, verdict) => Some(SkipReason::NotFound),
        _ => None,
    }
}

fn judged_inside<B>(response: Response<B>) -> (Verdict, Response<ResponseBody<B>>) {
    let served = response.extensions().get::<Served>();
    let verdict = served.map_or(Verdict::Success, |served| served.verdict().clone());
    (verdict, response.map(ResponseBody::untouched))
}

async fn judged_here<B>(
    response: Response<B>,
    chain: &Chain<B>,
    state: &ChainState<B>,
) -> (Verdict, Response<ResponseBody<B>>)
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let (classifier, context) = (chain.general.classifier(), &state.context);
    let inspector = Inspector {
        classifier: &classifier,
        limits: context.limits(),
        look_into_streams: context.looks_into_streams(),
        look_into_success: false,
        is_head: state.hold_back.is_head(),
        path: None,
        secret: None,
    };
    let (verdict, response) = inspector.inspect(into_parts(response), Timestamp::now()).await;
    (verdict, response.into_response())
}

/// Judges an error: that of a rotation layer, which states the outcome, or that of a client.
async fn failed<B>(
    error: BoxError,
    name: Arc<str>,
    chain: &Chain<B>,
    context: &ChainContext,
) -> LinkOutcome<B> {
    let error = match error.downcast::<Error>().map(|error| *error) {
        Ok(Error::AllKeysFailed(failed)) => return LinkOutcome::left(ProviderFailed::keys(name, *failed)),
        Ok(Error::AllProvidersFailed(failed)) => {
            let left = failed.into_link(name);
            if !left.attempts().is_empty() {
                context.take_attempt();
            }
            return LinkOutcome::left(left);
        }
        Ok(Error::Service(source)) => return not_ready(source, name),
        Ok(Error::ApplyKey(error)) => {
            let because = error.unroutable_because().map_or(SkipReason::NotReady, SkipReason::from);
            let (left, error) = (ProviderFailed::new(name, because), Error::ApplyKey(error));
            return LinkOutcome::left(ProviderFailed { source: Some(error.into()), ..left });
        }
        Ok(error) => return LinkOutcome::Ended(error),
        Err(error) if transport::nature(&error) == Nature::Shed => return not_ready(error, name),
        Err(error) => error,
    };
    if let Some(unroutable) = Unroutable::among(&error) {
        let left = ProviderFailed::new(name, unroutable.into());
        return LinkOutcome::left(ProviderFailed { source: Some(error), ..left });
    }
    context.take_attempt();
    let outcome = || Outcome::transport(transport::of(&error), Timestamp::now());
    match classify(&chain.general.classifier(), outcome).await {
        Verdict::Fault(fault) => {
            let left = ProviderFailed::new(name, SkipReason::Fault(fault));
            LinkOutcome::left(ProviderFailed { source: Some(error), ..left })
        }
        _ => LinkOutcome::Ended(Error::Service(error)),
    }
}

/// Returns the outcome of a link that was not ready. Nothing was sent.
fn not_ready<B>(error: BoxError, name: Arc<str>) -> LinkOutcome<B> {
    let is_shed = transport::nature(&error) == Nature::Shed;
    let because = if is_shed { SkipReason::Shed } else { SkipReason::NotReady };
    LinkOutcome::left(ProviderFailed { source: Some(error), ..ProviderFailed::new(name, because) })
}

// === impl LinkOutcome ===

impl<B> LinkOutcome<B> {
    pub(super) fn left(failed: ProviderFailed) -> Self {
        Self::Failed(Box::new(failed))
    }
}

impl ProviderFailed {
    /// Returns whether the link's breaker counts the failure.
    pub(super) fn is_providers_fault(&self) -> bool {
        match &self.because {
            // Neither a wait for readiness that is too long nor a URL that is not the provider's is its fault.
            SkipReason::NotReady => self.source.as_ref().is_some_and(|source| !is_stamp_error(source)),
            SkipReason::Fault(fault) => shows_outage(fault),
            SkipReason::Keys(crate::error::StopReason::ProviderFault) => {
                self.fault().is_some_and(shows_outage)
            }
            _ => false,
        }
    }
}

/// Returns whether a fault says something about the provider's health. A refusal by its edge does not: the edge may
/// object to the content of one request, and serve all others.
fn shows_outage(fault: &Fault) -> bool {
    fault.scope().is_provider() && fault.reason() != Reason::Blocked
}

fn is_stamp_error(error: &BoxError) -> bool {
    matches!(error.downcast_ref(), Some(Error::ApplyKey(_)))
}
