//! Reads the status documents of a gateway.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::timeout;
use tower::BoxError;

/// Reads documents of one gateway.
pub(super) struct StatusClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    token: Option<HeaderValue>,
}

/// Maximum time of a request (10 s).
const LONGEST: Duration = Duration::from_secs(10);

/// Maximum size of a document (64 MiB).
const MAX_DOCUMENT: usize = 64 * 1024 * 1024;

// === impl StatusClient ===

impl StatusClient {
    pub(super) fn new(base: &Uri, token: Option<String>) -> Result<Self, BoxError> {
        let is_web = base.scheme_str().is_some_and(|scheme| ["http", "https"].contains(&scheme));
        if !is_web || base.query().is_some() {
            return Err("the URL of the gateway is like http://127.0.0.1:8787".into());
        }
        if base.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(
                "the URL of the gateway has a user name or a password: remove it, and name the variable with \
                 the token by --token-env"
                    .into(),
            );
        }
        let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        let bearer = |token: String| {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| "the token is no header value")?;
            value.set_sensitive(true);
            Ok::<_, BoxError>(value)
        };
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(https),
            base: base.to_string().trim_end_matches('/').to_owned(),
            token: token.map(bearer).transpose()?,
        })
    }

    /// Returns the documents `/status` and `/api/key-status`.
    pub(super) async fn read(&self) -> Result<(Value, Value), BoxError> {
        let reading = async { Ok((self.get("/status").await?, self.get("/api/key-status").await?)) };
        timeout(LONGEST, reading).await.map_err(|_| format!("{} does not respond", self.base))?
    }

    async fn get(&self, path: &str) -> Result<Value, BoxError> {
        let mut request = Request::get(format!("{}{path}", self.base)).body(Full::default())?;
        if let Some(token) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        let response = self.client.request(request).await;
        let response =
            response.map_err(|error| format!("{} can't be reached: {}", self.base, innermost(&error)))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                return Err(
                    "the gateway requires its token: set GATEWAY_TOKEN, or name a variable with --token-env"
                        .into(),
                );
            }
            status => return Err(format!("{}{path}: status {}", self.base, status.as_u16()).into()),
        }
        let body = Limited::new(response.into_body(), MAX_DOCUMENT).collect().await?;
        let document = serde_json::from_slice::<Value>(&body.to_bytes()).ok();
        document.filter(|it| it.get("providers").is_some()).ok_or_else(|| {
            format!("{}{path}: the response is none of a gateway: correct the URL", self.base).into()
        })
    }
}

/// Returns the first cause of an error.
fn innermost<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
