//! Authentication of requests: how a key is put onto a request, and how foreign credentials are removed.
//!
//! A key is applied only to requests to an origin of its provider, since a key sent to a mistyped or
//! redirected host is a leaked key. It is applied only after every carrier of a foreign credential has been
//! removed: an SDK that sends its own `Authorization` beside our `x-api-key` would otherwise decide which of
//! the two is used.
//!
//! Google's `?key=` counts as a carrier too: it ends up in logs and errors. So does a header that names the
//! [account](crate::provider::carrier) that pays: it belongs to the credential that it came with.

use std::borrow::Cow;
use std::fmt;

use http::header::{AUTHORIZATION, COOKIE, HeaderName, PROXY_AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};
use percent_encoding::percent_encode;

use crate::provider::carrier::{is_carrier, is_carrier_parameter, is_parameter};
use crate::provider::websocket;
use crate::scrub::QUERY;
use crate::scrub::secret::{InvalidSecret, Secret};

/// Header that carries Anthropic keys.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Header that carries Azure OpenAI keys.
pub const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// Header that carries Gemini keys.
pub const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Query parameter in which some providers accept a key.
pub const QUERY_KEY: &str = "key";

/// Headers that carry credentials to the providers of this crate's presets.
///
/// They are removed from a request before a key is applied. So is any other header that carries a credential
/// or names the account that pays.
pub const CREDENTIAL_HEADERS: [HeaderName; 6] =
    [AUTHORIZATION, X_API_KEY, API_KEY, X_GOOG_API_KEY, PROXY_AUTHORIZATION, COOKIE];

/// The place in a request where a provider expects its key.
///
/// ```
/// use tower_key_rotation::provider::AuthScheme;
/// use tower_key_rotation::Provider;
///
/// // `Authorization: Token KEY`
/// let scheme = AuthScheme::prefixed(http::header::AUTHORIZATION, "Token");
/// let provider = Provider::builder("replicas").auth(scheme).build();
/// # drop(provider);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthScheme {
    /// The header `Authorization: Bearer KEY`.
    Bearer,
    /// A header whose value is the key: `NAME: KEY`.
    Header(HeaderName),
    /// A header whose value is a word, a blank and the key: `NAME: WORD KEY`. See
    /// [`prefixed`](Self::prefixed).
    Prefixed(HeaderName, Cow<'static, str>),
    /// A query parameter: `?NAME=KEY`.
    ///
    /// The key is then part of every URL that an inner layer may log or put into an error. Prefer a header
    /// wherever the provider accepts one.
    Query(Cow<'static, str>),
    /// AWS credentials sign each request, by Signature Version 4: a key `ID:SECRET` or `ID:SECRET:TOKEN`, of the access
    /// key's id, the secret access key, and the session token of temporary credentials. Any other key is a bearer
    /// token, such as a Bedrock API key.
    ///
    /// The rotation layer hands the credentials to the [`CloudLayer`](crate::cloud::CloudLayer) inside it, which signs
    /// the request as it is sent. Without that layer, and from [`Lease::apply_key`](crate::pool::Lease::apply_key), the
    /// request goes unsigned.
    #[cfg(feature = "sigv4")]
    AwsSigV4,
}

/// An extension of a request with the credentials that sign it.
#[cfg(feature = "sigv4")]
#[derive(Clone)]
pub(crate) struct SigningSecret(pub(crate) Secret);

// === impl AuthScheme ===

impl AuthScheme {
    /// Creates a scheme with a header whose value is a word, a blank and the key: `Authorization: Token KEY`.
    ///
    /// A word with characters that no header may carry makes
    /// [`KeyPoolBuilder::build`](crate::pool::KeyPoolBuilder::build) fail.
    pub fn prefixed(name: HeaderName, word: impl Into<Cow<'static, str>>) -> Self {
        Self::Prefixed(name, word.into())
    }

    /// Returns the value of the header or of the query parameter for a key, marked as sensitive.
    pub(crate) fn header_for(&self, key: &Secret) -> Result<HeaderValue, InvalidSecret> {
        let key = key.expose();
        let text = match self {
            Self::Bearer => ["Bearer ", key].concat(),
            Self::Prefixed(_, word) => [word, " ", key].concat(),
            Self::Header(_) | Self::Query(_) => key.to_owned(),
            #[cfg(feature = "sigv4")]
            Self::AwsSigV4 => match Secret::aws_in(key) {
                // Credentials are in no header.
                Some(_) => String::new(),
                None => ["Bearer ", key].concat(),
            },
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| InvalidSecret::Character { position: 0 })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Applies a rendered key to a request from which all credentials have been removed.
    pub(crate) fn apply_key(
        &self,
        uri: &mut Uri,
        headers: &mut HeaderMap,
        value: &HeaderValue,
    ) -> Result<(), http::Error> {
        match self {
            Self::Bearer => drop(headers.insert(AUTHORIZATION, value.clone())),
            Self::Header(name) | Self::Prefixed(name, _) => drop(headers.insert(name, value.clone())),
            Self::Query(name) => *uri = with_parameter(uri, name, value)?,
            #[cfg(feature = "sigv4")]
            Self::AwsSigV4 if value.is_empty() => {}
            #[cfg(feature = "sigv4")]
            Self::AwsSigV4 => drop(headers.insert(AUTHORIZATION, value.clone())),
        }
        Ok(())
    }

    /// Removes from a request every credential, including those of this scheme, and everything that names the
    /// account that pays.
    pub(crate) fn strip(&self, uri: &mut Uri, headers: &mut HeaderMap) -> Result<(), http::Error> {
        let mut protocols = None;
        // Most requests have at most one carrier, and checking the names of a few headers is cheaper than
        // looking up each known name.
        while let Some(name) = headers.keys().find(|name| is_carrier(name)).cloned() {
            if name == SEC_WEBSOCKET_PROTOCOL {
                protocols = websocket::without_credentials(headers);
            }
            headers.remove(name);
        }
        if let Some(protocols) = protocols {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols);
        }
        match self {
            Self::Header(name) | Self::Prefixed(name, _) => drop(headers.remove(name)),
            Self::Query(name) => remove_parameters(uri, |pair| is_parameter(pair, name))?,
            Self::Bearer => {}
            #[cfg(feature = "sigv4")]
            Self::AwsSigV4 => {}
        }
        remove_parameters(uri, is_carrier_parameter)
    }
}

impl fmt::Debug for AuthScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer => f.write_str("Bearer"),
            Self::Header(name) => write!(f, "Header({name})"),
            Self::Prefixed(name, word) => write!(f, "Prefixed({name}, {word:?})"),
            Self::Query(name) => write!(f, "Query({name})"),
            #[cfg(feature = "sigv4")]
            Self::AwsSigV4 => f.write_str("AwsSigV4"),
        }
    }
}

// === query parameters ===

fn remove_parameters(uri: &mut Uri, goes: impl Fn(&str) -> bool) -> Result<(), http::Error> {
    let Some(query) = uri.query() else { return Ok(()) };
    if !query.split('&').any(&goes) {
        return Ok(());
    }
    let kept: Vec<_> = query.split('&').filter(|pair| !goes(pair)).collect();
    *uri = with_query(uri, &kept.join("&"))?;
    Ok(())
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
    fn what_a_caller_pays_with_is_removed() {
        let mut uri: Uri = "https://h/p?access_token=x&Api-Key=x&%61pi_key=x&alt=sse".parse().unwrap();
        let mut headers = HeaderMap::new();
        for name in ["openai-organization", "openai-project", "x-goog-user-project", "anthropic-workspace-id"]
        {
            headers.append(name, HeaderValue::from_static("foreign"));
        }
        headers.insert("openai-beta", HeaderValue::from_static("assistants=v2"));
        AuthScheme::Bearer.strip(&mut uri, &mut headers).unwrap();
        assert_eq!(uri, "https://h/p?alt=sse");
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["openai-beta"]);
    }

    #[test]
    fn a_query_key_is_encoded_and_replaced() {
        let mut uri: Uri = "https://h/p?key=old".parse().unwrap();
        let scheme = AuthScheme::Query("key".into());
        scheme.strip(&mut uri, &mut HeaderMap::new()).unwrap();
        scheme.apply_key(&mut uri, &mut HeaderMap::new(), &HeaderValue::from_static("a&b=c")).unwrap();
        assert_eq!(uri, "https://h/p?key=a%26b%3Dc");
    }

    #[test]
    fn the_header_value_is_rendered_for_the_scheme_and_sensitive() {
        let secret = Secret::new("sk-marker").unwrap();
        let value = AuthScheme::Bearer.header_for(&secret).unwrap();
        assert_eq!(value, "Bearer sk-marker");
        assert!(value.is_sensitive());
        let token = AuthScheme::prefixed(http::header::AUTHORIZATION, "Token");
        assert_eq!(token.header_for(&secret).unwrap(), "Token sk-marker");
        assert!(AuthScheme::prefixed(http::header::AUTHORIZATION, "To\nken").header_for(&secret).is_err());
        assert_eq!(AuthScheme::Query("key".into()).header_for(&secret).unwrap(), "sk-marker");
    }
}
