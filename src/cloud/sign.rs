//! Signatures of requests: AWS Signature Version 4.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as signature};
use aws_sigv4::sign::v4::SigningParams;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use tower::BoxError;
use tracing::dispatcher::{Dispatch, with_default};

use crate::body::ReplayBody;
use crate::clock::Timestamp;
use crate::scrub::secret::{AwsCredentials, Secret};

/// The error of a request that can't be signed. It contains no secret.
#[derive(Debug, thiserror::Error)]
#[error("the request can't be signed: look for invalid characters in its URL and its headers")]
struct Unsigned;

/// Returns the digest of a body for its signature. Reads a part that is kept outside of memory piece by piece. `None` if it
/// can't be read.
pub(super) async fn digest(body: &ReplayBody) -> Option<String> {
    let mut hash = Sha256::new();
    let is_read = body.pieces().await?.show(|data, _| hash.update(data)).await;
    is_read.then(|| hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Signs a request to a service in a region. `digest` is that of the body that is sent. Returns the session token, which
/// the request carries and a response may echo; without one, the id of the key.
pub(super) fn sign(
    parts: &mut Parts,
    digest: String,
    credentials: &AwsCredentials<'_>,
    (service, region): (&str, &str),
) -> Result<Secret, BoxError> {
    let AwsCredentials { id, secret, token } = *credentials;
    // An error response in an encoding could not be searched for the token.
    parts.headers.remove(ACCEPT_ENCODING);
    let old = parts.headers.keys().filter(|name| is_of_signatures(name)).cloned().collect::<Vec<_>>();
    old.into_iter().for_each(|name| drop(parts.headers.remove(name)));
    let identity = Credentials::new(id, secret, token.map(str::to_owned), None, "key").into();
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(Timestamp::now().as_unix_ms());
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| Unsigned)?
        .into();
    let uri = parts.uri.to_string();
    let signed = parts.headers.iter().filter(|(name, _)| is_signed(name));
    let signed = signed.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let request = SignableRequest::new(parts.method.as_str(), uri, signed, SignableBody::Precomputed(digest));
    let request = request.map_err(|_| Unsigned)?;
    // At the level TRACE, the signing crate logs what it signs: the session token too.
    let instructions = with_default(&Dispatch::none(), || signature(request, &params));
    let instructions = instructions.map_err(|_| Unsigned)?.into_parts().0;
    for (name, value) in instructions.headers() {
        let mut value = HeaderValue::try_from(value).map_err(|_| Unsigned)?;
        value.set_sensitive(true);
        parts.headers.insert(HeaderName::try_from(name).map_err(|_| Unsigned)?, value);
    }
    Ok(Secret::new(token.unwrap_or(id))?)
}

/// Returns whether a header is one that a signature adds.
fn is_of_signatures(name: &HeaderName) -> bool {
    matches!(name.as_str(), "x-amz-date" | "x-amz-content-sha256" | "x-amz-security-token")
        || *name == AUTHORIZATION
}

/// Returns whether a header is signed: AWS's own, which have to be, and the type of the body. Others may change on the
/// way.
fn is_signed(name: &HeaderName) -> bool {
    [CONTENT_TYPE, HOST].contains(name) || name.as_str().starts_with("x-amz")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[tokio::test]
    async fn a_body_in_pieces_has_the_digest_of_the_whole() {
        let pieces = vec![Bytes::from(vec![1; 2 << 20]), Bytes::from_static(b"end")];
        let whole = ReplayBody::from(Bytes::from(pieces.concat()));
        assert_eq!(digest(&ReplayBody::from(pieces)).await, digest(&whole).await);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(&ReplayBody::empty()).await.as_deref(), Some(empty));
    }
}
