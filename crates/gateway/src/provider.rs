//! The service of one provider: requests in its native API, below the path with its name.

use http::Uri;
use http::uri::{Authority, Scheme};
use tower_key_rotation::provider::BasePath;

use crate::config::{Config, ProviderSettings};
use crate::refusal::Refusal;
use crate::upstream::{self, Chain, HttpClient};

/// A provider without fallback: requests rotate over its keys and never go to another provider.
pub(crate) struct ProviderService {
    service: Chain,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    base: BasePath,
    limits_models: bool,
}

/// Splits a path into its first segment, which names the provider, and the rest.
pub(crate) fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_at(path.find('/').unwrap_or(path.len()))
}

// === impl ProviderService ===

impl ProviderService {
    pub(crate) fn new(config: &Config, provider: &ProviderSettings, client: &HttpClient) -> Self {
        let url = provider.base_url();
        Self {
            service: upstream::single(config, provider, client),
            scheme: url.scheme().cloned(),
            authority: url.authority().cloned(),
            base: provider.pool().provider().base_path(url.path()),
            limits_models: provider.limits_models(),
        }
    }

    /// Returns whether a limit is declared for some of the provider's models.
    pub(crate) const fn limits_models(&self) -> bool {
        self.limits_models
    }

    pub(crate) const fn service(&self) -> &Chain {
        &self.service
    }

    /// Returns the provider's URL for a URL of the gateway. It stays below the provider's base URL.
    pub(crate) fn url(&self, uri: &Uri) -> Result<Uri, Refusal> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = self.scheme.clone();
        parts.authority = self.authority.clone();
        let path = self.base.join(split(uri.path()).1, uri.query());
        parts.path_and_query = Some(path.map_err(|_| Refusal::NoUrl)?);
        Uri::from_parts(parts).map_err(|_| Refusal::NoUrl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_names_the_provider() {
        assert_eq!(split("/gemini/v1beta/models"), ("gemini", "/v1beta/models"));
        assert_eq!(split("/gemini"), ("gemini", ""));
    }
}
