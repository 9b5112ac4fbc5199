//! Secrets from a token endpoint, by a JWT bearer assertion of a service account.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body::Body;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde_json::json;
use tower::BoxError;
use tower_service::Service;

use crate::body::ReplayBody;
use crate::clock::Timestamp;
use crate::key::source::credential::Credential;
use crate::key::source::token::{ask, token_request};

/// A service that gets access tokens for a Google service account, by a signed assertion (RFC 7523), as Vertex AI needs
/// them.
///
/// `client` is any tower HTTP client. The assertion is signed with RS256 and valid for an hour.
///
/// ```no_run
/// use tower::BoxError;
/// use tower_key_rotation::ApiKey;
/// use tower_key_rotation::key::{SecretSource, ServiceAccount};
/// use tower_key_rotation::reqwest_client::ReqwestClient;
///
/// # fn vertex(client: ReqwestClient) -> Result<ApiKey, BoxError> {
/// let account = ServiceAccount::from_json(client, &std::fs::read_to_string("service-account.json")?)?;
/// Ok(ApiKey::from(SecretSource::new("vertex", account)))
/// # }
/// ```
#[derive(Clone)]
pub struct ServiceAccount<S> {
    client: S,
    endpoint: Uri,
    signer: Arc<Signer>,
    scope: String,
}

/// The error of a text that is not the key file of a service account. It contains no part of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidServiceAccount {
    /// The text is not JSON with the members `client_email`, `private_key` and `token_uri`.
    #[error("not the JSON of a service account: it needs `client_email`, `private_key` and `token_uri`")]
    Json,
    /// The private key is not an RSA key of 2048 to 8192 bits in PKCS#8.
    #[error("the private key is not an RSA key of 2048 to 8192 bits in the format PKCS#8")]
    Key,
    /// The URL of the token endpoint is invalid.
    #[error("`token_uri` is not an absolute URL")]
    Url,
}

struct Signer {
    email: String,
    key_id: Option<String>,
    key: RsaKeyPair,
}

#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the assertion can't be signed")]
struct Unsigned;

/// Lifetime of an assertion: one hour, the most that Google accepts
/// (<https://developers.google.com/identity/protocols/oauth2/service-account>).
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The scope of Vertex AI.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

// === impl ServiceAccount ===

impl<S> ServiceAccount<S> {
    /// Creates a service from the JSON key file of a service account.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidServiceAccount`] if the text is not such a file.
    pub fn from_json(client: S, text: &str) -> Result<Self, InvalidServiceAccount> {
        let file: KeyFile = serde_json::from_str(text).map_err(|_| InvalidServiceAccount::Json)?;
        let endpoint: Uri = file.token_uri.parse().map_err(|_| InvalidServiceAccount::Url)?;
        if endpoint.host().is_none() || endpoint.scheme().is_none() {
            return Err(InvalidServiceAccount::Url);
        }
        let der = der(&file.private_key).ok_or(InvalidServiceAccount::Key)?;
        let key = RsaKeyPair::from_pkcs8(&der).map_err(|_| InvalidServiceAccount::Key)?;
        let signer = Signer { email: file.client_email, key_id: file.private_key_id, key };
        Ok(Self { client, endpoint, signer: Arc::new(signer), scope: SCOPE.to_owned() })
    }

    /// Sets the scope, several separated by blanks. Default: `https://www.googleapis.com/auth/cloud-platform`.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }

    fn assertion(&self) -> Result<String, Unsigned> {
        let now = Timestamp::now().as_unix_ms() / 1_000;
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.signer.key_id});
        let claims = json!({
            "iss": self.signer.email,
            "scope": self.scope,
            "aud": self.endpoint.to_string(),
            "iat": now,
            "exp": now + LIFETIME.as_secs(),
        });
        let encoded = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let signed =
            [encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes())].join(".");
        let mut signature = vec![0; self.signer.key.public().modulus_len()];
        let key = &self.signer.key;
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| Unsigned)?;
        Ok([signed, encoded(&signature)].join("."))
    }
}

/// Returns the content of a PEM block.
fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, text) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (text, _) = text.split_once("-----END PRIVATE KEY-----")?;
    let text: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}

impl<S, B> Service<()> for ServiceAccount<S>
where
    S: Service<Request<ReplayBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Credential;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Credential, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let account = self.clone();
        async move {
            let assertion = account.assertion()?;
            let form = [("grant_type", GRANT), ("assertion", &assertion)];
            let request = token_request(&account.endpoint, form.into_iter());
            let token = ask(account.client, request).await;
            token.map_err(|error| crate::scrub::redact(error, &assertion))
        }
        .boxed()
    }
}

impl<S> fmt::Debug for ServiceAccount<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client: _, endpoint, signer, scope } = self;
        f.debug_struct("ServiceAccount")
            .field("host", &endpoint.host())
            .field("email", &signer.email)
            .field("scope", scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
