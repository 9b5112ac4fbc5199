//! One provider under its own name, in its own dialect.

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use tower_key_rotation::config::{Config, ProviderSettings};

use super::refusal::Refusal;
use super::upstream::{self, Chain, HttpClient};

/// A provider that is asked alone: its keys rotate, no other provider is asked.
pub(super) struct Pinned {
    service: Chain,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    /// The segments of the base URL's path.
    base: Vec<String>,
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
            base: url.path().split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        }
    }

    pub(super) const fn service(&self) -> &Chain {
        &self.service
    }

    /// The provider's URL for a path of the gateway's.
    pub(super) fn url(&self, uri: &Uri) -> Result<Uri, Refusal> {
        let path = join(&self.base, split(uri.path()).1, uri.query());
        let mut parts = http::uri::Parts::default();
        parts.scheme = self.scheme.clone();
        parts.authority = self.authority.clone();
        parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| Refusal::NoUrl)?);
        Uri::from_parts(parts).map_err(|_| Refusal::NoUrl)
    }
}

/// A path below a base path, of which it may repeat the end or have another version: SDKs begin theirs with
/// `/v1` or `/v1beta`, and base URLs end with it.
fn join(base: &[String], path: &str, query: Option<&str>) -> String {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let meets = |segment: &String| segment == first || (is_version(segment) && is_version(first));
    let kept = base.iter().position(meets).unwrap_or(base.len());
    let mut joined = String::with_capacity(128);
    for segment in &base[..kept] {
        joined.extend(["/", segment]);
    }
    joined.push_str(path);
    if let Some(query) = query {
        joined.extend(["?", query]);
    }
    joined
}

/// `v1`, `v1beta`, `v2`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_meets_its_base_once() {
        for (base, path, joined) in [
            ("/v1", "/v1/messages", "/v1/messages"),
            ("/v1", "/messages", "/v1/messages"),
            ("/", "/v1/messages", "/v1/messages"),
            ("/api/openai/v1", "/v1/models", "/api/openai/v1/models"),
            ("/openai/v1", "/openai/v1/models", "/openai/v1/models"),
            ("/openai/v1", "/chat/completions", "/openai/v1/chat/completions"),
            ("/v1beta/openai", "/v1beta/models/m:generateContent", "/v1beta/models/m:generateContent"),
            ("/v1beta/openai", "/v1/models/m:generateContent", "/v1/models/m:generateContent"),
            ("/v1beta/openai", "/chat/completions", "/v1beta/openai/chat/completions"),
            ("/v1", "/vision", "/v1/vision"),
        ] {
            let base: Vec<_> = base.split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect();
            assert_eq!(super::join(&base, path, None), joined);
            assert_eq!(super::join(&base, path, Some("alt=sse")), format!("{joined}?alt=sse"));
        }
        assert_eq!(split("/gemini/v1beta/models"), ("gemini", "/v1beta/models"));
        assert_eq!(split("/gemini"), ("gemini", ""));
    }
}
