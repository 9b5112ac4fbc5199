//! The exchange with a token endpoint, whatever grants the token.

use std::fmt;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use percent_encoding::percent_encode;
use tower::{BoxError, ServiceExt};
use tower_service::Service;

use crate::body::ReplayBody;
use crate::key::source::credential::Credential;
use crate::key::source::document;
use crate::scrub::QUERY;

/// The error of a token endpoint that gave no token. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token endpoint responded with {status}{}", Code(.code.as_deref()))]
pub struct TokenRefused {
    status: StatusCode,
    /// The code of the error, such as `invalid_client`.
    code: Option<String>,
}

struct Code<'a>(Option<&'a str>);

/// Maximum size of a response: 1 MiB.
const LARGEST: usize = 1024 * 1024;

/// Builds the request of a token, with its parameters in a form.
pub(super) fn token_request<'a>(
    endpoint: &Uri,
    parameters: impl Iterator<Item = (&'a str, &'a str)>,
) -> Request<ReplayBody> {
    let encoded = |text: &str| percent_encode(text.as_bytes(), QUERY).to_string();
    let pairs = parameters.map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    let mut request = Request::new(ReplayBody::from(Bytes::from(pairs.collect::<Vec<_>>().join("&"))));
    *request.method_mut() = Method::POST;
    request.uri_mut().clone_from(endpoint);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

/// Sends the request of a token, and reads the response.
pub(super) async fn ask<S, B>(client: S, request: Request<ReplayBody>) -> Result<Credential, BoxError>
where
    S: Service<Request<ReplayBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let response = client.oneshot(request).await.map_err(Into::into)?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LARGEST).collect().await?.to_bytes();
    if !head.status.is_success() {
        return Err(TokenRefused { status: head.status, code: code(&body) }.into());
    }
    Ok(document::read(std::str::from_utf8(&body)?)?)
}

/// Returns the code of an OAuth error, if it is one: a word that can't be a secret.
fn code(body: &[u8]) -> Option<String> {
    let error: serde_json::Value = serde_json::from_slice(body).ok()?;
    let code = error.get("error")?.as_str()?;
    let is_word =
        |code: &str| code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    Some(code).filter(|code| is_word(code)).map(str::to_owned)
}

impl fmt::Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |code| write!(f, ": {code}"))
    }
}
