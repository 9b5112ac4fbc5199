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

use super::call::Failed;
use super::commit;
use super::failure::{LeftBecause, ProviderFailed};
use super::layer::{Commit, ContextLength};
use super::link::{Chain, Link};
use crate::body::ResponseBody;
use crate::classify::{Fault, Outcome, Rejection, Scope, Verdict};
use crate::clock::Timestamp;
use crate::error::{Error, LastResponse};
use crate::inspect::{Inspector, ask, shared};
use crate::rotate::Served;
use crate::rotate::budget::Ticket;
use crate::transport;

/// What the chain makes of it.
pub(super) enum Judged<B> {
    /// It is the caller's.
    Served(Response<ResponseBody<B>>),
    /// The link did not serve the request; another may.
    Left(ProviderFailed),
    /// Nobody can.
    Ended(Error),
}

/// Judges what calling a link brought, and sees the answer through to its commit.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
pub(super) fn answer<B>(
    called: Result<Response<B>, Failed>,
    link: &Link,
    chain: &Chain<B>,
    ticket: &Ticket,
) -> impl Future<Output = Judged<B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async move {
        let name = || Arc::clone(&link.name);
        let settings = &chain.settings;
        let (verdict, response) = match called {
            Ok(response) if ticket.is_adopted() => judged_inside(response),
            // In boxes, for there is mostly a rotation layer and an answer.
            Ok(response) => {
                ticket.take_attempt();
                Box::pin(judged_here(response, chain, ticket)).await
            }
            Err(Failed::Call(error)) => return Box::pin(failed(error, name(), chain, ticket)).await,
            Err(Failed::NotReady(source)) => {
                let left = ProviderFailed::new(name(), LeftBecause::NotReady);
                return Judged::Left(ProviderFailed { source, ..left });
            }
        };
        let Some(because) = refused(verdict, chain, ticket) else {
            if settings.commit == Commit::Complete {
                let guarded = commit::guard(response, settings, ticket.is_adopted());
                return Box::pin(commit::hold_back(guarded, &link.name, settings.complete_cap)).await;
            }
            return Judged::Served(commit::guard(response, settings, ticket.is_adopted()));
        };
        let retry_after = if let LeftBecause::Fault(fault) = &because { fault.wait() } else { None };
        let last_response = Some(LastResponse::new(response.map(ResponseBody::erase)));
        Judged::Left(ProviderFailed { retry_after, last_response, ..ProviderFailed::new(name(), because) })
    }
}

/// Why the answer is not the caller's, if it is not.
fn refused<B>(verdict: Verdict, chain: &Chain<B>, ticket: &Ticket) -> Option<LeftBecause> {
    match verdict {
        Verdict::Rejected(Rejection::ContextLength)
            if chain.settings.context_length == ContextLength::FallOver =>
        {
            Some(LeftBecause::ContextLength)
        }
        Verdict::Fault(fault) if !ticket.is_adopted() && fault.scope() != Scope::None => {
            Some(LeftBecause::Fault(fault))
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
    ticket: &Ticket,
) -> (Verdict, Response<ResponseBody<B>>)
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let classifier = chain.general.classifier();
    let inspector = Inspector {
        classifier: &classifier,
        limits: ticket.limits(),
        look_into_success: false,
        secret: None,
    };
    let (verdict, answer) = inspector.inspect(shared(response), Timestamp::now()).await;
    (verdict, answer.into_response())
}

/// No answer: an error of a rotation layer, which says what to do, or of a client.
async fn failed<B>(error: BoxError, name: Arc<str>, chain: &Chain<B>, ticket: &Ticket) -> Judged<B> {
    let error = match error.downcast::<Error>().map(|error| *error) {
        Ok(Error::AllKeysFailed(failed)) => return Judged::Left(ProviderFailed::keys(name, *failed)),
        Ok(Error::Service(source)) => {
            let left = ProviderFailed::new(name, LeftBecause::NotReady);
            return Judged::Left(ProviderFailed { source: Some(source), ..left });
        }
        Ok(error @ Error::Stamp(_)) => {
            let left = ProviderFailed::new(name, LeftBecause::NotReady);
            return Judged::Left(ProviderFailed { source: Some(error.into()), ..left });
        }
        Ok(error) => return Judged::Ended(error),
        Err(error) => error,
    };
    ticket.take_attempt();
    let outcome = Outcome::transport(transport::of(&error), Timestamp::now());
    match ask(&chain.general.classifier(), outcome).await {
        Verdict::Fault(fault) => {
            let left = ProviderFailed::new(name, LeftBecause::Fault(fault));
            Judged::Left(ProviderFailed { source: Some(error), ..left })
        }
        _ => Judged::Ended(Error::Service(error)),
    }
}

impl ProviderFailed {
    /// Whether the link's breaker is to count it.
    pub(super) fn is_providers_fault(&self) -> bool {
        match &self.because {
            LeftBecause::NotReady => true,
            LeftBecause::Fault(fault) => fault.scope().is_provider(),
            LeftBecause::Keys(crate::error::GaveUp::ProviderFault) => {
                self.fault().is_some_and(|fault: &Fault| fault.scope().is_provider())
            }
            _ => false,
        }
    }
}
