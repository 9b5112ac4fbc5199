//! One attempt: send the request, inspect the response, ask the classifier.
//!
//! The time limit for the head of the response does not run while the layer waits for the caller to send the
//! request's body: see [`Upload`]. A probe usually starts when the body has arrived (see [`acquire`]). A request
//! whose body is too long to be recorded gives its probe back as soon as its caller pauses, and continues as an
//! ordinary attempt.
//!
//! [`acquire`]: crate::rotate::acquire

use std::mem::take;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, ready, select};
use futures_util::{FutureExt, TryFutureExt};
use http::response::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tokio::time::Instant;
use tower::{BoxError, ServiceExt};
use tower_service::Service;

use crate::body::{ReplayBody, Upload};
use crate::classify::transport;
use crate::classify::transport::Nature;
use crate::classify::{Classify, Outcome};
use crate::clock::Moment;
use crate::error::Error;
use crate::exchange::inspect::{classify, into_parts};
use crate::key::{KeyId, SentKey};
use crate::pool::{ApplyKeyError, Lease};
use crate::provider::{ModelNames, Unroutable};
use crate::rotate::request::Template;
use crate::rotate::state::RequestState;
use crate::rotate::state::refusal::{among_accounts, among_places};
use crate::rotate::tried::Tried;
use crate::scrub;

#[derive(Debug, thiserror::Error)]
#[error("the provider switched to another protocol, which the request did not ask for")]
struct UnaskedUpgrade;

/// Sends the request with the key applied, and returns the classified result. An error of the client is part of
/// that result. This function fails only if the service does not become ready, or if the key can't be applied.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
pub(super) fn attempt<S, C, B>(
    service: &mut S,
    ready: &mut bool,
    state: &mut RequestState<B>,
    lease: &mut Lease,
    classifier: &C,
) -> impl Future<Output = Result<Tried<B>, Error>>
where
    S: Service<Request<ReplayBody>, Response = Response<B>, Error: Into<BoxError>>,
    C: Classify,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    async move {
        let mut sent = Instant::from(lease.began());
        if !take(ready) {
            service.ready().await.map_err(|error| Error::Service(error.into()))?;
            sent = Instant::now();
        } else if lease.issued().is_some() {
            // The secret may have been fetched meanwhile, which is not the provider's time.
            sent = Instant::now();
        }
        let renamed = match lease.model_names() {
            Some(names) => Some(Box::pin(renamed(&mut state.request, names, lease.key_id())).await?),
            None => None,
        };
        // In a block, because the future would otherwise have room for its variables during the inspection.
        let called = {
            let call = pin!({
                let mut request = match renamed {
                    Some(renamed) => *renamed,
                    None => state.request.make(),
                };
                lease.apply_key_to(&mut request, state.config.tell_key)?;
                service.call(request).map_ok(into_parts)
            });
            let upload = state.request.upload();
            let call = in_time(state.head_timeout(), sent, &upload, call);
            if lease.is_exclusive() && !upload.has_ended() {
                Box::pin(probing(lease, &upload, pin!(call))).await
            } else {
                call.await
            }
        };
        receive(called, state, lease, classifier).await
    }
}

/// Inspects the response to the call, or judges its error.
fn receive<'a, C, B>(
    called: Result<(Arc<Parts>, B), BoxError>,
    state: &'a RequestState<B>,
    lease: &'a Lease,
    classifier: &'a C,
) -> impl Future<Output = Result<Tried<B>, Error>> + use<'a, C, B>
where
    C: Classify,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let answered = Moment::now();
    // Its parts, because the whole state can't be shared with another thread.
    let (request, pool) = (&state.request, &state.config.pool);
    match called.and_then(|response| asked_for(response, request)) {
        Ok((mut head, body)) => {
            let parts = Arc::make_mut(&mut head);
            scrub::head(parts, lease.secret());
            if parts.status == StatusCode::SWITCHING_PROTOCOLS {
                parts.extensions.insert(SentKey::new(lease.secret()));
            }
            let inspected = state.inspector(classifier, lease).inspect((head, body), answered.into());
            Either::Left(inspected.map(move |(verdict, response)| {
                if response.is_unreadable {
                    pool.report_unreadable();
                }
                let verdict = among_places(verdict, Some(response.head.status), lease);
                let verdict = among_accounts(verdict, request, &response);
                Ok(Tried { verdict, response: Ok(response), answered })
            }))
        }
        Err(error) => match of_an_attempt(error, lease) {
            Err(own) => Either::Right(Either::Left(ready(Err(own)))),
            Ok(error) => {
                let error = scrub::redact(error, lease.secret().expose());
                let transport = transport::of(&error);
                let verdict = classify(classifier, move || Outcome::transport(transport, answered.into()));
                Either::Right(Either::Right(verdict.map(move |verdict| {
                    let verdict = among_places(verdict, None, lease);
                    Ok(Tried { verdict, response: Err(error), answered })
                })))
            }
        },
    }
}

/// Fails for a switch of protocols that the request did not ask for: its caller could not read what follows.
fn asked_for<B>(response: (Arc<Parts>, B), request: &Template) -> Result<(Arc<Parts>, B), BoxError> {
    match response.0.status == StatusCode::SWITCHING_PROTOCOLS && !request.asks_for_upgrade() {
        true => Err(UnaskedUpgrade.into()),
        false => Ok(response),
    }
}

/// Returns an error that tells something of the provider or the key. Fails with the others: the service had no
/// capacity, or can't build the request.
fn of_an_attempt(error: BoxError, lease: &Lease) -> Result<BoxError, Error> {
    if transport::nature(&error) == Nature::Shed {
        return Err(Error::Service(error));
    }
    match Unroutable::among(&error) {
        Some(unroutable) => Err(ApplyKeyError::unroutable(lease.key_id(), unroutable).into()),
        None => Ok(error),
    }
}

/// Builds the request with the name under which the key sends its model.
async fn renamed(
    request: &mut Template,
    names: &ModelNames,
    key: &KeyId,
) -> Result<Box<Request<ReplayBody>>, ApplyKeyError> {
    let (mut parts, body) = request.make().into_parts();
    let body = names.apply(&mut parts, &body, request.known_model(), false).await;
    let body = body.map_err(|source| ApplyKeyError::unroutable(key, source))?;
    Ok(Box::new(Request::from_parts(parts, body)))
}

/// Awaits the call, which yields the head of the response, within the limit. Fails if the call fails or if it is
/// too late.
fn in_time<'c, T, E: Into<BoxError>, F: Future<Output = Result<T, E>> + ?Sized>(
    limit: Option<Duration>,
    sent: Instant,
    upload: &'c Upload,
    call: Pin<&'c mut F>,
) -> impl Future<Output = Result<T, BoxError>> + use<'c, T, E, F> {
    match limit {
        None => Either::Left(call.map_err(Into::into)),
        Some(limit) => Either::Right(Box::pin(async move {
            match upload.limit(limit, sent, call).await {
                Ok(called) => called.map_err(Into::into),
                Err(late) => Err(late.into()),
            }
        })),
    }
}

/// Awaits the call of a probe, and gives the probe back to the pool if the caller pauses.
async fn probing<T>(lease: &mut Lease, upload: &Upload, call: Pin<&mut impl Future<Output = T>>) -> T {
    match select(call, pin!(upload.pauses())).await {
        Either::Left((called, _)) => called,
        Either::Right(((), call)) => {
            lease.give_probe_back();
            call.await
        }
    }
}
