//! Delivery of a provider's response, or of the error that explains why there is none.

use std::sync::Arc;

use axum::body::Body;
use http::header::HeaderName;
use http::{HeaderValue, Response, Version};
use http_body_util::Either;
use tower_key_rotation::{Error, OwnError, Served};

use crate::headers;
use crate::links::Links;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::response::GatewayBody;
use crate::trace::FailedAttempts;
use crate::upstream::ChainBody;

/// Provider and key that served the request: `openai/team-a`.
const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");

/// Number of calls that providers got for the request.
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-attempts");

/// Returns the response for the caller.
pub(crate) fn deliver(result: Result<Response<ChainBody>, Error>, reply: Reply) -> Response<GatewayBody> {
    match result {
        // A request for another protocol does not come here, so no caller expects one.
        Ok(response) if response.status().is_informational() => {
            reply.refuse(Refusal::Switched).map(Either::Right)
        }
        Ok(response) => served(response),
        Err(Error::Body(error)) => reply.refuse(Refusal::of_body(&*error)).map(Either::Right),
        Err(error) => failed(error, reply).map(Either::Right),
    }
}

/// Returns the response for the caller, with the provider's links to itself changed.
pub(crate) async fn deliver_linked(
    result: Result<Response<ChainBody>, Error>,
    reply: Reply,
    links: Links,
) -> Response<GatewayBody> {
    let mut response = match result {
        Ok(response) if response.status().is_success() => response,
        other => return deliver(other, reply),
    };
    links.change_headers(response.headers_mut());
    let (head, body) = served(response).into_parts();
    match body {
        Either::Left(body) => match links.change_body(Response::from_parts(head, body)).await {
            Ok(response) => response,
            Err(_) => reply.refuse(Refusal::Broken).map(Either::Right),
        },
        own @ Either::Right(_) => Response::from_parts(head, own),
    }
}

/// Returns a provider's response with the headers for the caller.
pub(crate) fn served(response: Response<ChainBody>) -> Response<GatewayBody> {
    let (mut head, body) = response.into_parts();
    headers::to_caller(&mut head.headers);
    // The version belongs to the connection of the provider. An HTTP/1.0 caller can't tell a truncated body from a
    // complete one.
    head.version = Version::HTTP_11;
    if let Some(served) = head.extensions.get::<Served>() {
        let by = [served.provider(), "/", served.key_id().as_str()].concat();
        if let Ok(by) = HeaderValue::try_from(by) {
            head.headers.insert(SERVED_BY, by);
        }
        head.headers.insert(ATTEMPTS, HeaderValue::from(served.attempts().len() + 1));
    }
    Response::from_parts(head, Either::Left(body))
}

/// Returns the error as a response: the provider's last one, or one of the gateway's. It names keys by their ids.
fn failed(error: Error, reply: Reply) -> Response<Body> {
    let (attempts, reasons) = (attempts(&error), error.to_string());
    let mut response = error.into_response().map(Body::new);
    headers::to_caller(response.headers_mut());
    if let Some(own) = response.extensions_mut().remove::<OwnError>() {
        response = reply.failed(&response, &own);
    }
    let id = ["x-request-id", "request-id"].iter().find_map(|name| response.headers().get(*name));
    let (status, id) = (response.status().as_u16(), id.and_then(|id| id.to_str().ok()));
    tracing::info!(target: "gateway", status, request_id = id, reasons, "request failed");
    response.headers_mut().insert(ATTEMPTS, HeaderValue::from(attempts.0.len()));
    response.extensions_mut().insert(attempts);
    response
}

fn attempts(error: &Error) -> FailedAttempts {
    FailedAttempts(match error {
        Error::AllKeysFailed(failed) => failed.attempts().into(),
        Error::AllProvidersFailed(failed) => failed.attempts().cloned().collect(),
        _ => Arc::default(),
    })
}
