//! Delivery of a provider's response, or of the error that explains why there is none.

use axum::body::Body;
use http::header::HeaderName;
use http::{HeaderValue, Response, Version};
use http_body_util::Either;
use tower_key_rotation::{Error, Served};

use crate::headers;
use crate::refusal::Refusal;
use crate::response::GatewayBody;
use crate::upstream::ChainBody;

/// Provider and key that served the request: `openai/team-a`.
const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");

/// Number of calls that providers got for the request.
const ATTEMPTS: HeaderName = HeaderName::from_static("x-attempts");

/// Returns the response for the caller.
pub(crate) fn deliver(result: Result<Response<ChainBody>, Error>) -> Response<GatewayBody> {
    match result {
        // The gateway passes on no request for another protocol, so no caller expects one.
        Ok(response) if response.status().is_informational() => {
            Refusal::Switched.into_response().map(Either::Right)
        }
        Ok(response) => served(response),
        Err(Error::Body(error)) => Refusal::of_body(&*error).into_response().map(Either::Right),
        Err(error) => failed(error).map(Either::Right),
    }
}

fn served(response: Response<ChainBody>) -> Response<GatewayBody> {
    let (mut head, body) = response.into_parts();
    headers::to_caller(&mut head.headers);
    // The version belongs to the connection of the provider. An HTTP/1.0 caller can't tell a truncated body from a
    // complete one.
    head.version = Version::HTTP_11;
    if let Some(served) = head.extensions.remove::<Served>() {
        let by = [served.provider(), "/", served.key_id().as_str()].concat();
        if let Ok(by) = HeaderValue::try_from(by) {
            head.headers.insert(SERVED_BY, by);
        }
        head.headers.insert(ATTEMPTS, HeaderValue::from(served.attempts().len() + 1));
    }
    Response::from_parts(head, Either::Left(body))
}

/// Returns the error as a response. It names keys by their ids.
fn failed(error: Error) -> Response<Body> {
    tracing::debug!(target: "gateway", %error, "request failed");
    let attempts = attempts(&error);
    let mut response = error.into_response().map(Body::new);
    headers::to_caller(response.headers_mut());
    response.headers_mut().insert(ATTEMPTS, HeaderValue::from(attempts));
    response
}

fn attempts(error: &Error) -> usize {
    match error {
        Error::AllKeysFailed(failed) => failed.attempts().len(),
        Error::AllProvidersFailed(failed) => failed.attempts().count(),
        _ => 0,
    }
}
