//! How a key gets onto a request, and off it.
//!
//! A key is stamped only on requests to an origin of its provider, and only after every carrier of a
//! foreign credential is gone: an SDK that sends its own `Authorization` beside our `x-api-key` would
//! otherwise decide which of the two is used, and a key sent to a mistyped or redirected host is a
//! leaked key. Google's `?key=` counts as a carrier too: it lands in logs and errors.

use std::fmt;

use http::header::{AUTHORIZATION, COOKIE, HeaderName, PROXY_AUTHORIZATION};
use http::uri::PathAndQuery;
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
}
