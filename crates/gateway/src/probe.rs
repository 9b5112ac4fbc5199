//! A check of keys: each asks its provider for the list of models, which costs nothing.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_key_rotation::body::ReplayBody;
use tower_key_rotation::key::KeyId;

use crate::client::{self, HttpClient};
use crate::config::{Config, ProviderSettings};
use crate::upstream;

/// The result of asking a provider for its models with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyProbe {
    /// Name of the provider.
    pub provider: String,
    /// The key.
    pub key: KeyId,
    /// The status of the response, or the error that explains why the key was refused. It contains no secret.
    pub result: Result<StatusCode, String>,
}

/// Version of Anthropic's API, without which it refuses every request. Other providers ignore the header.
const ANTHROPIC_VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

// === impl KeyProbe ===

impl KeyProbe {
    /// Returns whether the provider served the request.
    pub fn is_served(&self) -> bool {
        self.result.as_ref().is_ok_and(StatusCode::is_success)
    }
}

/// Asks each provider of a configuration for its list of models, once with each key, one after the other.
///
/// The keys of the configuration are disabled meanwhile: use a configuration that was loaded for the check. No request
/// is sent again, and none costs tokens. A provider without a list of models responds with status 404, which says
/// nothing about the key.
pub async fn probe(config: &Config) -> Vec<KeyProbe> {
    let client = client::client();
    let mut probes = Vec::new();
    for provider in config.providers() {
        let keys: Vec<_> = provider.pool().snapshot().keys.into_iter().map(|key| key.id).collect();
        keys.iter().for_each(|key| set_enabled(provider, key, false));
        for key in keys {
            set_enabled(provider, &key, true);
            let result = list_models(config, provider, &client).await;
            set_enabled(provider, &key, false);
            probes.push(KeyProbe { provider: provider.name().to_owned(), key, result });
        }
    }
    probes
}

fn set_enabled(provider: &ProviderSettings, key: &KeyId, enabled: bool) {
    let pool = provider.pool();
    // The key is one of the pool's, so it is known.
    let _known = if enabled { pool.enable(key) } else { pool.disable(key) };
}

async fn list_models(
    config: &Config,
    provider: &ProviderSettings,
    client: &HttpClient,
) -> Result<StatusCode, String> {
    let url = format!("{}/models", provider.base_url().to_string().trim_end_matches('/'));
    let request = Request::get(url).header(ANTHROPIC_VERSION.0, ANTHROPIC_VERSION.1);
    let request = request.body(ReplayBody::from(Bytes::new())).map_err(|error| error.to_string())?;
    let response = upstream::single(config, provider, client, 0).oneshot(request).await;
    let response = response.map_err(|error| error.to_string())?;
    let status = response.status();
    // The body is read so that the connection can be used again; its content does not matter.
    drop(response.into_body().collect().await);
    Ok(status)
}
