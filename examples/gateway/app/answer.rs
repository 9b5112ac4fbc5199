//! What the caller gets.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, StatusCode, Version};
use http_body_util::Either;
use serde_json::{Value, json};
use tower_key_rotation::{Error, Served};

use super::front::FrontBody;
use super::headers;
use super::refusal::Refusal;
use super::upstream::ChainBody;

/// Which key of which provider served the request: `openai/team-a`.
const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");

/// How often providers were asked for it.
const ATTEMPTS: HeaderName = HeaderName::from_static("x-attempts");

/// The answer of a provider, its body as it comes; or the error that says why there is none.
pub(super) fn deliver(answer: Result<Response<ChainBody>, Error>) -> Response<FrontBody> {
    match answer {
        // A switch of protocols is for a caller that asked for one, which the gateway passes on for nobody.
        Ok(response) if response.status().is_informational() => {
            Refusal::Switched.into_response().map(Either::Right)
        }
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            headers::downwards(&mut head.headers);
            // Of the provider's connection. To a caller HTTP/1.0 can't tell a body that broke from one that ended.
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
        Err(Error::Body(error)) => Refusal::of_body(&*error).into_response().map(Either::Right),
        Err(error) => failed(error).map(Either::Right),
    }
}

/// The error as a response. Names keys by their ids, and is of interest to whoever runs the gateway.
fn failed(error: Error) -> Response {
    tracing::debug!(target: "gateway", %error, "not served");
    let attempts = attempts(&error);
    let mut response = error.into_response().map(Body::new);
    headers::downwards(response.headers_mut());
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

/// An error in the shape that OpenAI's clients read, as most others do.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let error = json!({"message": message, "type": "gateway_error", "param": null, "code": code});
    as_json(status, &json!({"error": error}))
}

pub(super) fn as_json(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
