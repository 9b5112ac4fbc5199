//! Access control: the token, or without one the origin of the request.
//!
//! The credentials of callers are not passed on: the rotation layer removes every credential from a request, in
//! headers and in the query, before it adds a key.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use tower_key_rotation::provider::{CREDENTIAL_HEADERS, QUERY_KEY, subprotocol_credentials};

use crate::config::Token;
use crate::origin::OwnHosts;
use crate::refusal::Refusal;

/// Accepts a request that has the token in any place where an SDK puts an API key. If no token is required, accepts every request that was not sent by a foreign web page.
pub(crate) fn check(
    (is_required, token): (bool, Option<&Token>),
    own: &OwnHosts<'_>,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(), Refusal> {
    match token {
        Some(token) if has_token(token, headers, uri) => Ok(()),
        Some(_) => Err(Refusal::NoToken),
        None if is_required => Err(Refusal::NoToken),
        None if own.is_foreign(headers, uri) => Err(Refusal::Foreign),
        None => Ok(()),
    }
}

fn has_token(token: &Token, headers: &HeaderMap, uri: &Uri) -> bool {
    credentials(headers, uri).any(|shown| token.matches(&shown))
}

/// Iterates over the credentials of a request: those in every place where an SDK puts an API key.
pub(crate) fn credentials<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let values =
        CREDENTIAL_HEADERS.into_iter().filter_map(|name| headers.get(name)).map(HeaderValue::as_bytes);
    let in_headers = values.flat_map(|value| [Some(value), bearer(value)]).flatten().map(Cow::Borrowed);
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| is_key(pair));
    let in_query =
        pairs.filter_map(|pair| pair.split_once('=')).map(|(_, value)| percent_decode_str(value).into());
    let in_protocols = subprotocol_credentials(headers).map(|value| Cow::Borrowed(value.as_bytes()));
    in_headers.chain(in_query).chain(in_protocols)
}

/// Returns the credential of an `Authorization` header of the scheme `Bearer`.
pub(crate) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, value) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| value.trim_ascii())
}

fn is_key(pair: &str) -> bool {
    percent_decode_str(pair.split('=').next().unwrap_or_default()).eq(QUERY_KEY.bytes())
}
