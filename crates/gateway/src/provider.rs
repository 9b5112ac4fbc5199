//! The service of one provider: requests in its native API, below the path with its name.

use http::Uri;
use tower_key_rotation::provider::{BasePath, Endpoints};

use crate::client::HttpClient;
use crate::config::{Config, ProviderSettings};
use crate::refusal::Refusal;
use crate::upstream::{self, Chain};

/// A provider without fallback: requests rotate over its keys and never go to another provider.
pub(crate) struct ProviderService {
    name: String,
    url: Uri,
    service: Chain,
    base: BasePath,
    limits_models: bool,
    endpoints: Endpoints,
}

// === impl ProviderService ===

impl ProviderService {
    pub(crate) fn new(config: &Config, provider: &ProviderSettings, client: &HttpClient, cap: usize) -> Self {
        let url = provider.base_url();
        Self {
            service: upstream::single(config, provider, client, cap),
            name: provider.name().to_owned(),
            url: url.clone(),
            base: provider.pool().provider().base_path(url.path()),
            limits_models: provider.limits_models(),
            endpoints: provider.endpoints(),
        }
    }

    /// Returns whether a limit is declared for some of the provider's models.
    pub(crate) const fn limits_models(&self) -> bool {
        self.limits_models
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn base_url(&self) -> &Uri {
        &self.url
    }

    pub(crate) const fn endpoints(&self) -> Endpoints {
        self.endpoints
    }

    pub(crate) const fn service(&self) -> &Chain {
        &self.service
    }

    /// Returns the provider's URL for a path of its API. It stays below the provider's base URL.
    pub(crate) fn url(&self, path: &str, query: Option<&str>) -> Result<Uri, Refusal> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = self.url.scheme().cloned();
        parts.authority = self.url.authority().cloned();
        parts.path_and_query = Some(self.base.join(path, query).map_err(|_| Refusal::NoUrl)?);
        Uri::from_parts(parts).map_err(|_| Refusal::NoUrl)
    }
}
