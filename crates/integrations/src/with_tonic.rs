//! Rotation around a channel of `tonic`, for generated clients of gRPC APIs that take API keys.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceBuilder, service_fn};
use tower_key_rotation::body::{ReplayBody, ResponseBody};
use tower_key_rotation::classify::{Classify, Fault, Outcome, Reason, Rejection, Scope, Verdict};
use tower_key_rotation::{Error, KeyPool, KeyRotationLayer, Provider};

/// The service for a generated client: `Client::with_origin(service, uri)`, with the URI of the channel's endpoint.
///
/// Without the origin the layer does not know the host that it sends a key to.
pub type RotatingChannel = BoxCloneSyncService<Request<Body>, Response<ResponseBody<Body>>, Status>;

/// Returns a service that sends each call with a key of the pool, in the metadata that the pool's provider names.
///
/// The head of a response waits for the first message. Leave [`with_early_status`] out for a bidirectional call whose
/// caller waits for the head before it sends.
pub fn rotating(channel: Channel, pool: KeyPool) -> RotatingChannel {
    let classifier = classifier(pool.provider());
    let client = ServiceBuilder::new()
        .map_request(|request: Request<ReplayBody>| request.map(Body::new))
        .and_then(|response| async { Ok::<_, BoxError>(with_early_status(response).await) })
        .map_err(BoxError::from)
        .service(channel);
    let rotation = ServiceBuilder::new()
        .map_err(into_status)
        .layer(KeyRotationLayer::with_classifier(pool, classifier))
        .service(client);
    BoxCloneSyncService::new(rotation)
}

/// Returns a classifier that reads the status of a gRPC call in the head. The provider's own classifier judges a
/// response without one, such as a proxy's error page.
pub fn classifier(provider: &Provider) -> impl Classify + use<> {
    let builtin = provider.classifier();
    service_fn(move |outcome: Outcome| {
        let mut builtin = builtin.clone();
        async move {
            match outcome.headers().and_then(Status::from_header_map) {
                Some(status) => Ok::<_, Infallible>(verdict(&status)),
                None => builtin.call(outcome).await,
            }
        }
    })
}

fn verdict(status: &Status) -> Verdict {
    let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let reason = status.get_details_error_info().map(|info| info.reason);
    let fault = match (status.code(), reason.as_deref()) {
        (Code::Ok, _) => return Verdict::Success,
        (Code::ResourceExhausted, _) => Fault::new(Reason::RateLimited, Scope::Account),
        // Google reports an invalid key so.
        (Code::Unauthenticated, _) | (Code::InvalidArgument, Some("API_KEY_INVALID")) => {
            Fault::new(Reason::InvalidKey, Scope::Key)
        }
        (Code::PermissionDenied, _) => Fault::new(Reason::Forbidden, Scope::Key),
        (Code::Unavailable, _) => Fault::new(Reason::Overloaded, Scope::Provider),
        (Code::Internal | Code::Unknown, _) => Fault::new(Reason::ServerError, Scope::Provider),
        (Code::DeadlineExceeded, _) => Fault::new(Reason::Timeout, Scope::Provider),
        _ => return Verdict::Rejected(Rejection::Invalid),
    };
    Verdict::Fault(fault.with_retry_after(wait))
}

/// Copies the status of a call that ends before its first message from the trailers into the head, where the
/// classifier sees it. Servers may send it in either place.
async fn with_early_status(response: Response<Body>) -> Response<Body> {
    let (mut head, mut body) = response.into_parts();
    let first = body.frame().await;
    let trailers = first.as_ref().and_then(|frame| frame.as_ref().ok()?.trailers_ref());
    head.headers.extend(trailers.cloned().unwrap_or_default());
    let frames = stream::iter(first).chain(BodyStream::new(body));
    Response::from_parts(head, Body::new(StreamBody::new(frames)))
}

/// Returns the error of a call that no key could serve as a status, which the generated client returns.
fn into_status(error: Error) -> Status {
    let code = match &error {
        Error::AllKeysFailed(failed) => match failed.last_reason() {
            Some(Reason::InvalidKey | Reason::Forbidden) => Code::PermissionDenied,
            Some(Reason::RateLimited | Reason::QuotaExceeded) | None => Code::ResourceExhausted,
            Some(_) => Code::Unavailable,
        },
        _ => Code::Unknown,
    };
    let mut status = Status::new(code, error.to_string());
    status.set_source(Arc::new(error));
    status
}
