//! What a link's answer means for the chain.
//!
//! A rotation layer inside has judged the answer by its provider's rules already, and says so in
//! [`Served`](crate::Served) or in its error. Of any other link the chain asks the rules that hold for
//! providers in general.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
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
use crate::exchange::inspect::{Inspector, classify, forget_length, into_parts};
use crate::exchange::served::Served;
use crate::fallback::after_commit;
use crate::fallback::call::Failed;
use crate::fallback::hold_back::hold_back;
use crate::fallback::link::{Chain, Link};
use crate::fallback::settings::ContextLength;
use crate::fallback::state::ChainState;

/// What the chain makes of it.
pub(super) enum LinkOutcome<B> {
    /// It is the caller's, under the guard of the layer inside, and lies where the caller gets it.
    Served,
    /// It is the caller's, under a guard of the chain's. The cell hears how its body ends.
    Guarded(Box<(Response<ResponseBody<B>>, UsageSlot)>),
    /// The link did not serve the request; another may.
    Failed(Box<ProviderFailed>),
    /// Nobody can.
    Ended(Error),
}

/// What calling a link brought.
type Called<B> = Result<Response<B>, Failed>;

/// Whether a rotation layer inside has judged the answer to be the caller's, and guards it. All else is to be
/// [judged](answer).
pub(super) fn is_the_callers<B>(response: &Response<B>, chain: &Chain<B>, context: &ChainContext) -> bool {
    let served = response.extensions().get::<Served>().filter(|_| context.is_joined());
    served.is_some_and(|served| served.is_guarded() && refused(served.verdict(), chain, context).is_none())
}

/// Judges what calling a link brought, and sees the answer through to its commit.
///
/// A response that was given up is kept until the deadline.
pub(super) async fn answer<B>(
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
            judged_here(response, chain, context).await
        }
        Err(Failed::Call(error)) => return failed(error, name(), chain, context).await,
        Err(Failed::NotReady(source)) => {
            let Some(error) = source else {
                return LinkOutcome::left(ProviderFailed::new(name(), SkipReason::NotReady));
            };
            return not_ready(error, name());
        }
    };
    let Some(because) = refused(&verdict, chain, context) else {
        let joined = context.is_joined();
        if !joined {
            forget_length(&mut response);
            let limits = RestLimits::new(chain.settings.idle_timeout, state.deadline());
            ResponseBody::limit(&mut response, limits);
        }
        let slot = after_commit::guard(&mut response, link, &chain.settings, joined, state.dialect());
        if let Some(check) = state.hold_back.check(&response, state.deadline()) {
            match hold_back(response, slot.clone(), check, link).await {
                Ok(held) => response = held.map(|body| ResponseBody::erased(body.erase())),
                Err(failed) => return LinkOutcome::Failed(failed),
            }
        }
        return LinkOutcome::Guarded(Box::new((response, slot)));
    };
    let retry_after = if let SkipReason::Fault(fault) = &because { fault.wait() } else { None };
    let limits = RestLimits::new(chain.settings.idle_timeout, state.deadline());
    let status = Some(response.status());
    let last_response = LastResponse::new(response.map(ResponseBody::erase), limits);
    LinkOutcome::left(ProviderFailed {
        status,
        retry_after,
        last_response,
        ..ProviderFailed::new(name(), because)
    })
}

/// Why the answer is not the caller's, if it is not.
fn refused<B>(verdict: &Verdict, chain: &Chain<B>, context: &ChainContext) -> Option<SkipReason> {
    match verdict {
        Verdict::Rejected(Rejection::ContextLength)
            if chain.settings.context_length == ContextLength::FallOver =>
        {
            Some(SkipReason::ContextLength)
        }
        Verdict::Fault(fault) if !context.is_joined() && fault.scope() != Scope::None => {
            Some(SkipReason::Fault(fault.clone()))
        }
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
    context: &ChainContext,
) -> (Verdict, Response<ResponseBody<B>>)
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let classifier = chain.general.classifier();
    let inspector = Inspector {
        classifier: &classifier,
        limits: context.limits(),
        look_into_success: false,
        secret: None,
    };
    let (verdict, answer) = inspector.inspect(into_parts(response), Timestamp::now()).await;
    (verdict, answer.into_response())
}

/// No answer: an error of a rotation layer, which says what to do, or of a client.
async fn failed<B>(
    error: BoxError,
    name: Arc<str>,
    chain: &Chain<B>,
    context: &ChainContext,
) -> LinkOutcome<B> {
    let error = match error.downcast::<Error>().map(|error| *error) {
        Ok(Error::AllKeysFailed(failed)) => return LinkOutcome::left(ProviderFailed::keys(name, *failed)),
        Ok(Error::Service(source)) => return not_ready(source, name),
        Ok(error @ Error::ApplyKey(_)) => {
            let left = ProviderFailed::new(name, SkipReason::NotReady);
            return LinkOutcome::left(ProviderFailed { source: Some(error.into()), ..left });
        }
        Ok(error) => return LinkOutcome::Ended(error),
        Err(error) if transport::nature(&error) == Nature::Shed => return not_ready(error, name),
        Err(error) => error,
    };
    context.take_attempt();
    let outcome = Outcome::transport(transport::of(&error), Timestamp::now());
    match classify(&chain.general.classifier(), outcome).await {
        Verdict::Fault(fault) => {
            let left = ProviderFailed::new(name, SkipReason::Fault(fault));
            LinkOutcome::left(ProviderFailed { source: Some(error), ..left })
        }
        _ => LinkOutcome::Ended(Error::Service(error)),
    }
}

/// Nothing was sent.
fn not_ready<B>(error: BoxError, name: Arc<str>) -> LinkOutcome<B> {
    let is_shed = transport::nature(&error) == Nature::Shed;
    let because = if is_shed { SkipReason::Shed } else { SkipReason::NotReady };
    LinkOutcome::left(ProviderFailed { source: Some(error), ..ProviderFailed::new(name, because) })
}

// === impl Judged ===

impl<B> LinkOutcome<B> {
    pub(super) fn left(failed: ProviderFailed) -> Self {
        Self::Failed(Box::new(failed))
    }
}

impl ProviderFailed {
    /// Whether the link's breaker is to count it.
    pub(super) fn is_providers_fault(&self) -> bool {
        match &self.because {
            // A wait for readiness that is too long, or a URL that is not the provider's, is not its fault.
            SkipReason::NotReady => self.source.as_ref().is_some_and(|source| !is_stamp_error(source)),
            SkipReason::Fault(fault) => shows_outage(fault),
            SkipReason::Keys(crate::error::StopReason::ProviderFault) => {
                self.fault().is_some_and(shows_outage)
            }
            _ => false,
        }
    }
}

/// Whether a fault says something about the provider's health. A refusal by its edge does not: the edge may object to
/// the content of one request, and serve all others.
fn shows_outage(fault: &Fault) -> bool {
    fault.scope().is_provider() && fault.reason() != Reason::Blocked
}

fn is_stamp_error(error: &BoxError) -> bool {
    matches!(error.downcast_ref(), Some(Error::ApplyKey(_)))
}
