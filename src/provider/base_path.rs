//! The path of a base URL as a boundary for the paths of requests.
//!
//! An operator who writes `https://host/tenants/a/v1` means that requests go there and nowhere else on the
//! host. A caller chooses the rest of the path and could leave the base with `..`, which servers also resolve
//! where it is percent-encoded, between backslashes or before a `;`. A path with a dot segment in any of
//! these forms is therefore an error, and every other path stays below the base.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use percent_encoding::percent_decode;

use crate::provider::endpoint::Endpoint;

/// The path of a base URL, below which the paths of requests stay.
///
/// A request's path may repeat the end of the base: SDKs begin their paths with `/v1`, and base URLs end with
/// it.
///
/// ```
/// use tower_key_rotation::provider::BasePath;
///
/// let base = BasePath::new("/tenants/a/v1");
/// assert_eq!(base.join("/v1/messages", None)?, "/tenants/a/v1/messages");
/// assert_eq!(base.join("/messages", Some("x=1"))?, "/tenants/a/v1/messages?x=1");
/// assert_eq!(base.join("/tenants/b/v1", None)?, "/tenants/a/v1/tenants/b/v1");
/// assert!(base.join("/v1/../../b/v1", None).is_err());
/// # Ok::<(), tower_key_rotation::provider::LeavesBase>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BasePath {
    /// The path without a slash at its end; empty, or beginning with a slash.
    path: String,
    /// Length of the part of the path below which the versions of the API lie beside each other, if they do.
    versions_below: Option<usize>,
    /// Version of the native API, for a native path without one. Empty if the API has no path of its own.
    version: &'static str,
}

/// Services that come before the version in a path: `/upload/v1beta/files`.
const SERVICES: [&str; 4] = ["upload", "download", "resumable", "ws"];

/// Error of [`BasePath::join`]: the path would leave its base, or forms no valid URL with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path has a dot segment or makes no URL: send one without `.` and `..`, encoded ones included")]
pub struct LeavesBase(());

// === impl BasePath ===

impl BasePath {
    /// Creates a boundary from the path of a base URL. Slashes at its end are ignored.
    pub fn new(path: &str) -> Self {
        Self { path: path.trim_end_matches('/').to_owned(), versions_below: None, version: "" }
    }

    /// Lets a path that begins with a version (`v1`, `v1beta`) replace the version in the base and everything
    /// behind it. For APIs whose versions and dialects lie beside each other.
    pub(super) fn with_versions(self) -> Self {
        let mut at = 0;
        for segment in self.path.split('/').skip(1) {
            if is_version(segment) {
                return Self { versions_below: Some(at), ..self };
            }
            at += segment.len() + 1;
        }
        Self { versions_below: Some(self.path.len()), ..self }
    }

    /// Sets the version that a native path without one gets, unless the base has a version.
    pub(super) const fn with_native_version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// Returns the path of a request below the base, with its query.
    ///
    /// # Errors
    ///
    /// Returns [`LeavesBase`] if the path has a segment `.` or `..`, in any form that a server may resolve,
    /// or if the result is not a valid path.
    pub fn join(&self, path: &str, query: Option<&str>) -> Result<PathAndQuery, LeavesBase> {
        let path = if path.is_empty() || path.starts_with('/') {
            path.into()
        } else {
            Cow::from(format!("/{path}"))
        };
        let path = self.versioned(path);
        self.put_below(self.kept(&path), &path, query)
    }

    /// Returns a path of the native API with a version. Any other path stays as it is.
    fn versioned<'a>(&self, path: Cow<'a, str>) -> Cow<'a, str> {
        let mut segments = path.split('/').skip(1);
        let (first, second) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        if self.version.is_empty() || is_version(first) {
            return path;
        }
        let own = self.path.split('/').find(|segment| is_version(segment));
        let version = own.unwrap_or(self.version);
        if self.versions_below.is_none() {
            let is_bare = own.is_none() && is_native(&path);
            return if is_bare { format!("/{version}{path}").into() } else { path };
        }
        match first {
            "ws" => path,
            service if SERVICES.contains(&service) && is_version(second) => path,
            service if SERVICES.contains(&service) => {
                format!("/{service}/{version}{}", &path[1 + service.len()..]).into()
            }
            _ if is_native(&path) => format!("/{version}{path}").into(),
            _ => path,
        }
    }

    /// Returns the path below the whole base, even if it repeats the end of the base.
    pub(crate) fn append(&self, path: &str, query: Option<&str>) -> Result<PathAndQuery, LeavesBase> {
        self.put_below(&self.path, path, query)
    }

    fn put_below(&self, base: &str, path: &str, query: Option<&str>) -> Result<PathAndQuery, LeavesBase> {
        if has_dot_segment(path) {
            return Err(LeavesBase(()));
        }
        let slash = if path.starts_with('/') || (path.is_empty() && !base.is_empty()) { "" } else { "/" };
        let query = query.map(|query| ["?", query].concat()).unwrap_or_default();
        [base, slash, path, &query].concat().parse().map_err(|_| LeavesBase(()))
    }

    /// Returns the part of the base that precedes a path which repeats the rest of it.
    fn kept(&self, path: &str) -> &str {
        let first = path.split('/').nth(1).unwrap_or_default();
        if let Some(versions) = self.versions_below.filter(|_| is_version(first) || SERVICES.contains(&first))
        {
            return &self.path[..versions];
        }
        let repeats = |at: &usize| {
            let rest = path.strip_prefix(&self.path[*at..]);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let starts = self.path.match_indices('/').map(|(at, _)| at);
        &self.path[..starts.into_iter().find(repeats).unwrap_or(self.path.len())]
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.path
    }
}

/// Returns whether a path without a version belongs to a native API: a call of a method, or an object that only the
/// native API has.
fn is_native(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    match Endpoint::of_path(path) {
        Endpoint::Messages | Endpoint::GenerateContent => true,
        _ => ["cachedContents", "files", "fileSearchStores", "tunedModels", "operations", "complete"]
            .contains(&first),
    }
}

/// Returns whether a segment is the version of an API: `v1`, `v1beta`, `v2`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Returns whether a path has a segment `.` or `..`: plain or percent-encoded up to three times over, between
/// slashes or backslashes, up to a `;`.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    if !path.bytes().any(|byte| matches!(byte, b'.' | b'%')) {
        return false;
    }
    let mut path = Cow::Borrowed(path.as_bytes());
    for _ in 0..=3 {
        let mut segments = path.split(|byte| matches!(byte, b'/' | b'\\'));
        let is_dot =
            |segment: &[u8]| matches!(segment.split(|byte| *byte == b';').next(), Some(b"." | b".."));
        if segments.any(is_dot) {
            return true;
        }
        let decoded: Cow<'_, [u8]> = percent_decode(&path).into();
        if decoded == path {
            return false;
        }
        path = Cow::Owned(decoded.into_owned());
    }
    // No legitimate path is encoded more often.
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_meets_its_base_once() {
        for (base, path, joined) in [
            ("/v1", "/v1/messages", "/v1/messages"),
            ("/v1/", "/messages", "/v1/messages"),
            ("/", "/v1/messages", "/v1/messages"),
            ("/api/openai/v1", "/v1/models", "/api/openai/v1/models"),
            ("/openai/v1", "/openai/v1/models", "/openai/v1/models"),
            ("/openai/v1", "/chat/completions", "/openai/v1/chat/completions"),
            ("/v1", "/vision", "/v1/vision"),
            ("/v1", "/v1", "/v1"),
            ("/v1", "", "/v1"),
            ("", "", "/"),
            ("/tenants/a/v1", "/tenants/b/v1/x", "/tenants/a/v1/tenants/b/v1/x"),
            ("/tenants/a/v1", "/v9/x", "/tenants/a/v1/v9/x"),
            ("/tenants/a/v1", "//tenants/b", "/tenants/a/v1//tenants/b"),
            ("/tenants/a/v1", "v1/x", "/tenants/a/v1/x"),
        ] {
            let join = |query| BasePath::new(base).join(path, query).unwrap().to_string();
            assert_eq!(join(None), joined);
            assert_eq!(join(Some("alt=sse")), format!("{joined}?alt=sse"));
        }
    }

    #[test]
    fn versions_lie_beside_each_other_where_they_do() {
        for (base, path, joined) in [
            ("/v1beta/openai", "/v1beta/models/m:generateContent", "/v1beta/models/m:generateContent"),
            ("/v1beta/openai", "/v1/models/m:generateContent", "/v1/models/m:generateContent"),
            ("/v1beta/openai", "/v1beta/openai/models", "/v1beta/openai/models"),
            ("/v1beta/openai", "/chat/completions", "/v1beta/openai/chat/completions"),
            ("/tenants/a/v1beta", "/v1/models", "/tenants/a/v1/models"),
            ("/tenants/a", "/v1/models", "/tenants/a/v1/models"),
            ("/v1beta/openai", "/models/m:generateContent", "/v1beta/models/m:generateContent"),
            ("", "/models/m:countTokens", "/v1beta/models/m:countTokens"),
            ("/v1beta/openai", "/cachedContents", "/v1beta/cachedContents"),
            ("/v1beta/openai", "/upload/v1beta/files", "/upload/v1beta/files"),
            ("/v1beta", "/upload/files", "/upload/v1beta/files"),
            ("/t/v1beta/openai", "/download/v1beta/files/1:download", "/t/download/v1beta/files/1:download"),
            ("/v1beta/openai", "/ws/google.ai.Service", "/ws/google.ai.Service"),
        ] {
            assert_eq!(
                BasePath::new(base).with_versions().with_native_version("v1beta").join(path, None).unwrap(),
                joined
            );
        }
    }

    #[test]
    fn a_native_path_without_a_version_gets_it() {
        for (base, path, joined) in [
            ("", "/messages", "/v1/messages"),
            ("/v1", "/messages", "/v1/messages"),
            ("/proxy", "/messages/count_tokens", "/proxy/v1/messages/count_tokens"),
            ("", "/chat/completions", "/chat/completions"),
        ] {
            assert_eq!(BasePath::new(base).with_native_version("v1").join(path, None).unwrap(), joined);
        }
    }

    #[test]
    fn no_form_of_a_dot_segment_makes_a_url() {
        let base = BasePath::new("/tenants/a/v1");
        for path in [
            "/v1/../x",
            "/../x",
            "/v1/..",
            "/v1/./x",
            "/v1/%2e%2e/x",
            "/v1/%2E./x",
            "/v1/.%2e",
            "/v1/..%2fx",
            "/v1/x%2f..%2fy",
            "/v1/..\\x",
            "/v1/%5c..%5cx",
            "/v1/%252e%252e/x",
            "/v1/..;/x",
            "/v1/..;a=b/x",
            "..",
            "/v1/%25252525252e/x",
        ] {
            assert!(base.join(path, None).is_err() && base.append(path, None).is_err(), "{path}");
        }
        for path in
            ["/v1/models/gemini-1.5", "/v1/...", "/v1/.well-known", "/v1/a..b", "/v1/100%25", "/v1/a%2Fb"]
        {
            assert!(base.join(path, None).is_ok(), "{path}");
        }
    }
}
