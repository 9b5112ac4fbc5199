//! Responses of the gateway itself, as JSON.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Either;
use serde_json::{Value, json};

use crate::upstream::ChainBody;

/// The body of a response: a provider's, passed on as it arrives, or one of the gateway's own.
pub type GatewayBody = Either<ChainBody, Body>;

/// Returns an error in the shape that OpenAI's clients read, as most other clients do.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let error = json!({"message": message, "type": "gateway_error", "param": null, "code": code});
    as_json(status, &json!({"error": error}))
}

/// Returns a response with a JSON body.
pub(crate) fn as_json(status: StatusCode, value: &Value) -> Response<Body> {
    with_type(status, "application/json", value.to_string())
}

/// Returns a response with a text body of the given media type.
pub(crate) fn with_type(status: StatusCode, media_type: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
