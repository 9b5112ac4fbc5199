//! One attempt: send the request, look at what comes back, ask the classifier.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::{Instant, timeout, timeout_at};
use tower::{BoxError, ServiceExt};
use tower_service::Service;

use crate::body::{ReplayBody, ResponseBody};
use crate::classify::{Classify, Outcome, Verdict};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::inspect::{Inspector, Limits, ask};
use crate::pool::Lease;
use crate::scrub::redact;
use crate::transport;

/// What bounds an attempt.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// How long the head of the answer may take.
    pub(super) head_timeout: Option<Duration>,
    pub(super) limits: Limits,
    pub(super) look_into_success: bool,
}

/// What an attempt brought: an answer or the client's error, and what the classifier says of it.
pub(super) struct Tried<B> {
    pub(super) verdict: Verdict,
    pub(super) answer: Result<Response<ResponseBody<B>>, BoxError>,
    /// When the head came, or the error.
    pub(super) answered: Instant,
}

/// Sends a request that has a key on it. An error of the client is something to judge; only that the
/// service does not become ready is an error here.
pub(super) async fn attempt<S, C, B>(
    service: &mut S,
    ready: bool,
    request: Request<ReplayBody>,
    classifier: &C,
    bounds: Bounds,
    lease: &Lease,
) -> Result<Tried<B>, Error>
where
    S: Service<Request<ReplayBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    C: Classify,
    B: Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    if !ready {
        service.ready().await.map_err(|error| Error::Service(error.into()))?;
    }
    let inspector = Inspector {
        classifier,
        limits: bounds.limits,
        look_into_success: bounds.look_into_success,
        secret: Some(lease.secret()),
    };
    let answer = in_time(bounds.head_timeout, service.call(request)).await;
    let answered = Instant::now();
    Ok(match answer {
        Ok(response) => {
            let (verdict, response) = inspector.inspect(response).await;
            Tried { verdict, answer: Ok(response), answered }
        }
        Err(error) => {
            let error = redact(error, lease.secret());
            let outcome = Outcome::transport(transport::of(&error), Timestamp::now());
            Tried { verdict: ask(classifier, outcome).await, answer: Err(error), answered }
        }
    })
}

/// The answer, unless its head takes too long.
async fn in_time<T, E: Into<BoxError>>(
    limit: Option<Duration>,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, BoxError> {
    match limit {
        Some(limit) => timeout(limit, call).await?.map_err(Into::into),
        None => call.await.map_err(Into::into),
    }
}

/// What the future brings, unless the deadline comes first.
pub(super) async fn before<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}
