//! The base URL of a route.

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Uri};

use crate::fallback::route::{InvalidRoute, Unroutable};
use crate::provider::{AuthScheme, BasePath, has_dot_segment, port};

/// The base URL of a route.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    pub(super) path: BasePath,
}

// === impl Base ===

impl Base {
    /// Redirects a request to a URL below the base, and removes everything that belonged to another destination.
    pub(super) fn redirect(
        &self,
        uri: &mut Uri,
        headers: &mut HeaderMap,
        prefix: &str,
    ) -> Result<(), Unroutable> {
        AuthScheme::Bearer.strip(uri, headers).map_err(|_| Unroutable::Url)?;
        headers.remove(HOST);
        let mut parts = std::mem::take(uri).into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(self.join(parts.path_and_query, prefix)?);
        *uri = Uri::from_parts(parts).map_err(|_| Unroutable::Url)?;
        Ok(())
    }

    fn join(&self, from: Option<PathAndQuery>, prefix: &str) -> Result<PathAndQuery, Unroutable> {
        let path = from.as_ref().map_or("", PathAndQuery::path);
        let rest = below(path, prefix);
        if let (Some(_), Some(from)) = (rest.filter(|_| self.path.as_str() == prefix), &from)
            && !has_dot_segment(path)
        {
            return Ok(from.clone());
        }
        let query = from.as_ref().and_then(PathAndQuery::query);
        self.path.append(rest.unwrap_or(path), query).map_err(|_| Unroutable::Url)
    }
}

/// Returns the rest of a path after a prefix that ends at the end of a segment.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl std::str::FromStr for Base {
    type Err = InvalidRoute;

    fn from_str(text: &str) -> Result<Self, InvalidRoute> {
        let uri: Uri = text.parse().map_err(|_| InvalidRoute(()))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority), Some(path)) =
            (parts.scheme, parts.authority, parts.path_and_query)
        else {
            return Err(InvalidRoute(()));
        };
        let known = scheme == Scheme::HTTPS || scheme == Scheme::HTTP;
        if !known
            || port(&authority, scheme == Scheme::HTTPS).is_none()
            || path.query().is_some()
            || text.contains('#')
        {
            return Err(InvalidRoute(()));
        }
        Ok(Self { scheme, authority, path: BasePath::new(path.path()) })
    }
}
