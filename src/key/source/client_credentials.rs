//! Secrets from a token endpoint, by OAuth 2.0 client credentials.

use std::fmt;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body::Body;
use tower::BoxError;
use tower_service::Service;

use crate::body::ReplayBody;
use crate::key::source::credential::Credential;
use crate::key::source::token::{ask, token_request};
use crate::scrub::secret::Secret;

/// A service that gets access tokens from a token endpoint: Microsoft Entra, Auth0, Keycloak and others, by the client
/// credentials of OAuth 2.0 (RFC 6749, section 4.4).
///
/// `client` is any tower HTTP client. The client's id and secret are sent in the body of the request.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{BoxError, ServiceExt, service_fn};
/// use tower_key_rotation::ApiKey;
/// use tower_key_rotation::body::ReplayBody;
/// use tower_key_rotation::key::{ClientCredentials, Secret, SecretSource};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// // Use your HTTP client instead.
/// let client = service_fn(|_: Request<ReplayBody>| async {
///     let token = r#"{"access_token":"eyJ0.token","expires_in":3599,"token_type":"Bearer"}"#;
///     Ok::<_, BoxError>(Response::new(Full::<Bytes>::from(token)))
/// });
/// let endpoint = "https://login.microsoftonline.com/TENANT/oauth2/v2.0/token".parse()?;
/// let entra = ClientCredentials::new(client, endpoint, "client-id", Secret::new("client-secret")?)
///     .parameter("scope", "https://cognitiveservices.azure.com/.default");
/// let source = SecretSource::new("entra", entra);
/// source.ready().await?;
/// let key = ApiKey::from(source);
/// # let _ = key;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ClientCredentials<S> {
    client: S,
    endpoint: Uri,
    id: String,
    secret: Secret,
    parameters: Vec<(String, String)>,
}

// === impl ClientCredentials ===

impl<S> ClientCredentials<S> {
    /// Creates a service that asks this endpoint as this client.
    pub fn new(client: S, endpoint: Uri, id: impl Into<String>, secret: Secret) -> Self {
        Self { client, endpoint, id: id.into(), secret, parameters: Vec::new() }
    }

    /// Adds a parameter to the request, such as `scope`, `audience` or `resource`. May be called repeatedly. Default:
    /// none.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    fn request(&self) -> Request<ReplayBody> {
        let own = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.id),
            ("client_secret", self.secret.expose()),
        ];
        let others = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        token_request(&self.endpoint, own.into_iter().chain(others))
    }
}

impl<S, B> Service<()> for ClientCredentials<S>
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
        let (client, request) = (self.client.clone(), self.request());
        let secret = self.secret.clone();
        async move {
            let token = ask(client, request).await;
            token.map_err(|error| crate::scrub::redact(error, secret.expose()))
        }
        .boxed()
    }
}

impl<S> fmt::Debug for ClientCredentials<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client: _, endpoint, id: _, secret: _, parameters: _ } = self;
        f.debug_struct("ClientCredentials").field("host", &endpoint.host()).finish_non_exhaustive()
    }
}
