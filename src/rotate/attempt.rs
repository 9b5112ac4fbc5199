//! One attempt: send the request, look at what comes back, ask the classifier.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, ServiceExt};
use tower_service::Service;

use super::inspect::{Inspector, ask};
use super::layer::Config;
use super::transport;
use crate::body::{ReplayBody, ResponseBody};
use crate::classify::{Classify, Outcome, Verdict};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::pool::Lease;
use crate::scrub::redact;

/// What an attempt brought: an answer or the client's error, and what the classifier says of it.
pub(super) struct Tried<B> {
    pub(super) verdict: Verdict,
    pub(super) answer: Result<Response<ResponseBody<B>>, BoxError>,
}

/// Sends a request that has a key on it. An error of the client is something to judge; only that the
/// service does not become ready is an error here.
pub(super) async fn attempt<S, C, B>(
    service: &mut S,
    ready: bool,
    request: Request<ReplayBody>,
    classifier: &C,
    config: &Config,
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
        limits: config.limits,
        look_into_success: config.pool.provider().errors_in_ok_bodies(),
        secret: lease.secret(),
    };
    let answer: Result<_, BoxError> = service.call(request).await.map_err(Into::into);
    Ok(match answer {
        Ok(response) => {
            let (verdict, response) = inspector.inspect(response).await;
            Tried { verdict, answer: Ok(response) }
        }
        Err(error) => {
            let error = redact(error, lease.secret());
            let outcome = Outcome::transport(transport::of(&error), Timestamp::now());
            Tried { verdict: ask(classifier, outcome).await, answer: Err(error) }
        }
    })
}

/// What the future brings, unless the deadline comes first.
pub(super) async fn before<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}
