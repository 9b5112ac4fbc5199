//! One provider under its own name, in its own dialect.

use http::Uri;
use http::uri::{Authority, Scheme};
use tower_key_rotation::config::{Config, ProviderSettings};
use tower_key_rotation::provider::BasePath;

use super::refusal::Refusal;
use super::upstream::{self, Chain, HttpClient};

/// A provider that is asked alone: its keys rotate, no other provider is asked.
pub(super) struct Pinned {
    service: Chain,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    base: BasePath,
    limits_models: bool,
}

/// The first segment of a path, which names the provider, and the rest of it.
pub(super) fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_at(path.find('/').unwrap_or(path.len()))
}

// === impl Pinned ===

impl Pinned {
    pub(super) fn new(config: &Config, provider: &ProviderSettings, client: &HttpClient) -> Self {
        let url = provider.base_url();
        Self {
            service: upstream::alone(config, provider, client),
            scheme: url.scheme().cloned(),
            authority: url.authority().cloned(),
            base: provider.pool().provider().base_path(url.path()),
            limits_models: provider.limits_models(),
        }
    }

    /// Whether a limit is declared for some of the provider's models.
    pub(super) const fn limits_models(&self) -> bool {
        self.limits_models
    }

    pub(super) const fn service(&self) -> &Chain {
        &self.service
    }

    /// The provider's URL for a path of the gateway's, which stays below the provider's base URL.
    pub(super) fn url(&self, uri: &Uri) -> Result<Uri, Refusal> {
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
