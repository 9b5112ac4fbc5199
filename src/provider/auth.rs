//! How a key gets onto a request, and off it.
//!
//! A key is stamped only on requests to an origin of its provider, and only after every carrier of a
//! foreign credential is gone: an SDK that sends its own `Authorization` beside our `x-api-key` would
//! otherwise decide which of the two is used, and a key sent to a mistyped or redirected host is a
//! leaked key. Google's `?key=` counts as a carrier too: it lands in logs and errors.

use std::fmt;
use std::str::FromStr;

use http::header::{AUTHORIZATION, COOKIE, HeaderName, PROXY_AUTHORIZATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Uri};
use percent_encoding::{percent_decode_str, percent_encode};

use crate::scrub::QUERY;

/// The header of Anthropic keys.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The header of Azure OpenAI keys.
pub const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// The header of Gemini keys.
pub const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// The query parameter that some providers take a key from.
pub const QUERY_KEY: &str = "key";

/// Every header that carries a credential to some provider; none survives on a stamped request.
pub const CREDENTIAL_HEADERS: [HeaderName; 6] =
    [AUTHORIZATION, X_API_KEY, API_KEY, X_GOOG_API_KEY, PROXY_AUTHORIZATION, COOKIE];

/// Where a provider takes its key from.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthScheme {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// `NAME: KEY`.
    Header(HeaderName),
    /// `?NAME=KEY`. The key is then part of every URL that a layer further in may log or put into an
    /// error; prefer a header wherever the provider takes one.
    Query(&'static str),
}

/// Scheme, host and port: where a key may be sent.
///
/// ```
/// use tower_key_rotation::provider::Origin;
///
/// let origin: Origin = "https://api.openai.com".parse()?;
/// assert!(origin.contains(&"https://api.openai.com/v1/models".parse()?));
/// assert!(origin.contains(&"https://API.openai.com:443/v1/models".parse()?));
/// assert!(!origin.contains(&"http://api.openai.com/v1/models".parse()?));
/// assert!(!origin.contains(&"https://api.openai.com.example.org/".parse()?));
///
/// let azure: Origin = "https://*.openai.azure.com".parse()?;
/// assert!(azure.contains(&"https://my-resource.openai.azure.com/openai/v1".parse()?));
/// assert!(!azure.contains(&"https://openai.azure.com/".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    host: HostPattern,
    port: u16,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum HostPattern {
    Exact(String),
    /// The dot and what follows it; at least one label stands before.
    Suffix(String),
}

/// A text that names no origin.
#[derive(Clone, Debug, thiserror::Error)]
#[error("not an origin: write `https://host`, `http://host:port` or `https://*.host`, without a path")]
pub struct InvalidOrigin(());

// === impl AuthScheme ===

impl AuthScheme {
    /// The text that goes before the key in the header's value.
    pub(crate) const fn prefix(&self) -> &'static str {
        match self {
            Self::Bearer => "Bearer ",
            Self::Header(_) | Self::Query(_) => "",
        }
    }

    /// Puts a rendered key onto a request from which all credentials have been removed.
    pub(crate) fn stamp(
        &self,
        uri: &mut Uri,
        headers: &mut HeaderMap,
        value: &HeaderValue,
    ) -> Result<(), http::Error> {
        match self {
            Self::Bearer => drop(headers.insert(AUTHORIZATION, value.clone())),
            Self::Header(name) => drop(headers.insert(name, value.clone())),
            Self::Query(name) => *uri = with_parameter(uri, name, value)?,
        }
        Ok(())
    }

    /// Removes every credential, its own included, from a request.
    pub(crate) fn strip(&self, uri: &mut Uri, headers: &mut HeaderMap) -> Result<(), http::Error> {
        // Mostly there is one at most, and to look through the names of a few headers is cheaper than to look
        // each of ours up.
        static CREDENTIALS: [HeaderName; 6] = CREDENTIAL_HEADERS;
        while let Some(name) = headers.keys().find_map(|name| CREDENTIALS.iter().find(|it| *it == name)) {
            headers.remove(name);
        }
        match self {
            Self::Bearer => {}
            Self::Header(name) => drop(headers.remove(name)),
            Self::Query(name) => remove_parameter(uri, name)?,
        }
        remove_parameter(uri, QUERY_KEY)
    }
}

impl fmt::Debug for AuthScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer => f.write_str("Bearer"),
            Self::Header(name) => write!(f, "Header({name})"),
            Self::Query(name) => write!(f, "Query({name})"),
        }
    }
}

// === impl Origin ===

impl Origin {
    /// Whether a request to `uri` stays within this origin; never for a URI without a host.
    pub fn contains(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return false;
        };
        let https = *scheme == Scheme::HTTPS;
        let is_http = https || *scheme == Scheme::HTTP;
        is_http && https == self.https && (self.is_written(authority) || self.is_meant(authority))
    }

    /// Whether the authority is this host as it is mostly written: then it need not be taken apart.
    fn is_written(&self, authority: &Authority) -> bool {
        let HostPattern::Exact(host) = &self.host else { return false };
        match authority.as_str().strip_prefix(&**host) {
            Some("") => self.port == default_port(self.https),
            Some(port) => port.strip_prefix(':').is_some_and(|port| port.parse() == Ok(self.port)),
            None => false,
        }
    }

    fn is_meant(&self, authority: &Authority) -> bool {
        authority.port_u16().unwrap_or_else(|| default_port(self.https)) == self.port
            && self.host.matches(authority.host())
    }
}

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host.eq_ignore_ascii_case(exact),
            Self::Suffix(suffix) => {
                let Some(at) = host.len().checked_sub(suffix.len()) else {
                    return false;
                };
                at > 0 && host.is_char_boundary(at) && host[at..].eq_ignore_ascii_case(suffix)
            }
        }
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, authority) = text.split_once("://").ok_or(InvalidOrigin(()))?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(InvalidOrigin(())),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (suffix, authority) = match authority.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, authority),
        };
        let authority: Authority = authority.parse().map_err(|_| InvalidOrigin(()))?;
        if authority.as_str().contains('@') || authority.host().contains('*') {
            return Err(InvalidOrigin(()));
        }
        let host = authority.host().to_ascii_lowercase();
        Ok(Self {
            https,
            port: authority.port_u16().unwrap_or_else(|| default_port(https)),
            host: if suffix { HostPattern::Suffix(format!(".{host}")) } else { HostPattern::Exact(host) },
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { https, host, port } = self;
        f.write_str(if *https { "https://" } else { "http://" })?;
        match host {
            HostPattern::Exact(host) => f.write_str(host)?,
            HostPattern::Suffix(suffix) => write!(f, "*{suffix}")?,
        }
        if *port == default_port(*https) { Ok(()) } else { write!(f, ":{port}") }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

const fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

// === query parameters ===

fn remove_parameter(uri: &mut Uri, name: &str) -> Result<(), http::Error> {
    let Some(query) = uri.query() else { return Ok(()) };
    if !query.split('&').any(|pair| is_parameter(pair, name)) {
        return Ok(());
    }
    let kept: Vec<_> = query.split('&').filter(|pair| !is_parameter(pair, name)).collect();
    *uri = with_query(uri, &kept.join("&"))?;
    Ok(())
}

fn is_parameter(pair: &str, name: &str) -> bool {
    let written = pair.split('=').next().unwrap_or_default();
    percent_decode_str(written).eq(name.bytes())
}

fn with_parameter(uri: &Uri, name: &str, value: &HeaderValue) -> Result<Uri, http::Error> {
    let value = percent_encode(value.as_bytes(), QUERY);
    match uri.query() {
        Some(query) if !query.is_empty() => with_query(uri, &format!("{query}&{name}={value}")),
        _ => with_query(uri, &format!("{name}={value}")),
    }
}

fn with_query(uri: &Uri, query: &str) -> Result<Uri, http::Error> {
    let path = uri.path();
    let path_and_query = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query)?);
    Ok(Uri::from_parts(parts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_credentials_are_removed_and_the_rest_kept() {
        let mut uri: Uri = "https://h/p?alt=sse&key=AIza-secret&%6Bey=again&keyring=x".parse().unwrap();
        let mut headers = HeaderMap::new();
        for name in &CREDENTIAL_HEADERS {
            headers.append(name, HeaderValue::from_static("foreign"));
            headers.append(name, HeaderValue::from_static("foreign again"));
        }
        headers.insert("x-custom", HeaderValue::from_static("foreign"));
        headers.insert("accept", HeaderValue::from_static("*/*"));

        let scheme = AuthScheme::Header(HeaderName::from_static("x-custom"));
        scheme.strip(&mut uri, &mut headers).unwrap();

        assert_eq!(uri, "https://h/p?alt=sse&keyring=x");
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn a_query_key_is_encoded_and_replaced() {
        let mut uri: Uri = "https://h/p?key=old".parse().unwrap();
        let scheme = AuthScheme::Query("key");
        scheme.strip(&mut uri, &mut HeaderMap::new()).unwrap();
        scheme.stamp(&mut uri, &mut HeaderMap::new(), &HeaderValue::from_static("a&b=c")).unwrap();
        assert_eq!(uri, "https://h/p?key=a%26b%3Dc");
    }

    #[test]
    fn origins_that_only_look_alike_are_foreign() {
        let origin: Origin = "https://api.openai.com".parse().unwrap();
        for foreign in [
            "http://api.openai.com/v1",
            "https://api.openai.com:8443/v1",
            "https://api.openai.com:443@evil.example/v1",
            "https://api.openai.com@evil.example/v1",
            "https://api.openai.com.example.org/v1",
            "https://evil-api.openai.com/v1",
            "https://openai.com/v1",
            "ftp://api.openai.com/v1",
            "/v1/chat/completions",
        ] {
            assert!(!origin.contains(&foreign.parse().unwrap()), "{foreign}");
        }
        let suffix: Origin = "https://*.openai.azure.com".parse().unwrap();
        assert!(!suffix.contains(&"https://eviloppenai.azure.com/".parse().unwrap()));
        assert!(!suffix.contains(&"https://.openai.azure.com/".parse().unwrap_or_default()));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in
            ["", "api.openai.com", "ftp://h", "https://", "https://u:p@h", "https://a.*.b", "https://h/p"]
        {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
