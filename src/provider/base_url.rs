//! Base URLs: where the requests of a link or of a key go.

use std::fmt;
use std::str::FromStr;

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Uri};

use crate::provider::base_path::{BasePath, LeavesBase, has_dot_segment};
use crate::provider::origin::Origin;
use crate::provider::unroutable::Unroutable;

/// A base URL: scheme, host, port, and the path below which all requests stay. Created by parsing a text.
///
/// A request that is sent to a base URL keeps its path, which may repeat the end of the base, and its query:
///
/// | base URL | the request's path | sent to |
/// |---|---|---|
/// | `https://east.example/openai/v1` | `/v1/chat/completions` | `https://east.example/openai/v1/chat/completions` |
/// | `https://east.example/openai/v1` | `/openai/v1/models` | `https://east.example/openai/v1/models` |
/// | `https://east.example/team-a` | `/v1/models?x=1` | `https://east.example/team-a/v1/models?x=1` |
///
/// [`replacing`](Self::replacing) names a path that the base takes the place of.
///
/// `Debug` and `Display` show the origin only.
///
/// ```
/// use tower_key_rotation::provider::BaseUrl;
///
/// let base: BaseUrl = "https://my-resource.openai.azure.com/openai/v1".parse()?;
/// assert_eq!(base.origin().to_string(), "https://my-resource.openai.azure.com");
/// assert!("https://user@host/v1".parse::<BaseUrl>().is_err());
/// # Ok::<(), tower_key_rotation::provider::InvalidBaseUrl>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    path: BasePath,
    origin: Origin,
    /// The path that the base takes the place of: empty, or with a leading and no trailing slash.
    replaces: Option<String>,
}

/// Error of parsing a [`BaseUrl`]: the text is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a base URL: write `https://host/path`, without a query, a fragment or a user name")]
pub struct InvalidBaseUrl(());

// === impl BaseUrl ===

impl BaseUrl {
    /// Sets a path that the path of the base takes the place of: with `/v1`, the base URL `https://host/api`
    /// turns `/v1/models` into `/api/models`. A request to another path is treated as without this setting.
    /// Default: none.
    #[must_use]
    pub fn replacing(mut self, path: &str) -> Self {
        self.replaces = Some(BasePath::new(path).as_str().to_owned());
        self
    }

    /// Returns the scheme, host and port.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the path, without a slash at its end.
    pub fn path(&self) -> &str {
        self.path.as_str()
    }

    /// Joins paths by other rules.
    pub(crate) fn with_base_path(mut self, rules: impl FnOnce(&str) -> BasePath) -> Self {
        self.path = rules(self.path.as_str());
        self
    }

    /// Directs a request to a URL below the base. After an error the request has no URL any more.
    pub(crate) fn direct(&self, uri: &mut Uri, headers: &mut HeaderMap) -> Result<(), Unroutable> {
        self.direct_with(uri, headers, |from| {
            let (path, query) = (from.path(), from.query());
            let rest = self.replaces.as_ref().and_then(|replaced| below(path, replaced));
            rest.map_or_else(|| self.path.join(path, query), |rest| self.path.append(rest, query))
        })
    }

    /// Directs a request to a URL below the base in place of `prefix`. A path without the prefix is appended as a
    /// whole.
    pub(crate) fn direct_below(
        &self,
        uri: &mut Uri,
        headers: &mut HeaderMap,
        prefix: &str,
    ) -> Result<(), Unroutable> {
        self.direct_with(uri, headers, |from| {
            let (path, query) = (from.path(), from.query());
            let rest = below(path, prefix);
            if rest.is_some() && self.path.as_str() == prefix && !has_dot_segment(path) {
                return Ok(from.clone());
            }
            self.path.append(rest.unwrap_or(path), query)
        })
    }

    fn direct_with(
        &self,
        uri: &mut Uri,
        headers: &mut HeaderMap,
        join: impl FnOnce(&PathAndQuery) -> Result<PathAndQuery, LeavesBase>,
    ) -> Result<(), Unroutable> {
        headers.remove(HOST);
        let mut parts = std::mem::take(uri).into_parts();
        let from = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static(""));
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(join(&from).map_err(|_| Unroutable::Url)?);
        *uri = Uri::from_parts(parts).map_err(|_| Unroutable::Url)?;
        Ok(())
    }
}

/// Returns the rest of a path after a prefix that ends at the end of a segment.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidBaseUrl(()))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority), Some(path)) =
            (parts.scheme, parts.authority, parts.path_and_query)
        else {
            return Err(InvalidBaseUrl(()));
        };
        if path.query().is_some() || text.contains('#') || authority.host().contains('*') {
            return Err(InvalidBaseUrl(()));
        }
        let origin = format!("{scheme}://{authority}").parse().map_err(|_| InvalidBaseUrl(()))?;
        Ok(Self { scheme, authority, path: BasePath::new(path.path()), origin, replaces: None })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(f)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({})", self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(base: &BaseUrl, path: &str) -> Result<String, Unroutable> {
        let mut uri: Uri = format!("https://api.example{path}").parse().unwrap();
        base.direct(&mut uri, &mut HeaderMap::new()).map(|()| uri.to_string())
    }

    #[test]
    fn a_path_stays_below_the_base() {
        let base: BaseUrl = "https://east.example/openai/v1".parse().unwrap();
        for (path, expected) in [
            ("/v1/models?x=1", "https://east.example/openai/v1/models?x=1"),
            ("/openai/v1/models", "https://east.example/openai/v1/models"),
            ("/models", "https://east.example/openai/v1/models"),
        ] {
            assert_eq!(sent(&base, path).unwrap(), expected);
        }
        assert_eq!(sent(&base, "/v1/../x"), Err(Unroutable::Url));
        let base = base.replacing("/api/v1/");
        assert_eq!(sent(&base, "/api/v1/models").unwrap(), "https://east.example/openai/v1/models");
        assert_eq!(sent(&base, "/api/v1").unwrap(), "https://east.example/openai/v1");
        assert_eq!(sent(&base, "/v1/models").unwrap(), "https://east.example/openai/v1/models");
    }

    #[test]
    fn a_text_with_more_than_a_base_is_refused() {
        for text in
            ["", "/v1", "host", "ftp://h/", "https://u@h/", "https://h/?q", "https://h/#f", "https://*.h/"]
        {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
    }
}
