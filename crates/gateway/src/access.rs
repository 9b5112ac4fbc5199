//! Access control: the token, or without one the origin of the request.
//!
//! The credentials of callers are not passed on: the rotation layer removes every credential from a request, in
//! headers and in the query, before it adds a key.

use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use tower_key_rotation::provider::{CREDENTIAL_HEADERS, QUERY_KEY};

use crate::config::Token;
use crate::origin::OwnHosts;
use crate::refusal::Refusal;

/// Accepts a request that has the token in any place where an SDK puts an API key. Without a configured token,
/// accepts every request that was not sent by a foreign web page.
pub(crate) fn check(
    token: Option<&Token>,
    own: &OwnHosts<'_>,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(), Refusal> {
    match token {
        Some(token) if has_token(token, headers, uri) => Ok(()),
        Some(_) => Err(Refusal::NoToken),
        None if own.is_foreign(headers, uri) => Err(Refusal::Foreign),
        None => Ok(()),
    }
}

fn has_token(token: &Token, headers: &HeaderMap, uri: &Uri) -> bool {
    let in_headers = CREDENTIAL_HEADERS.iter().filter_map(|name| headers.get(name)).any(|value| {
        let value = value.as_bytes();
        token.matches(value) || bearer(value).is_some_and(|value| token.matches(value))
    });
    in_headers || in_query(token, uri.query().unwrap_or_default())
}

/// Returns the credential of an `Authorization` header of the scheme `Bearer`.
pub(crate) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, value) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| value.trim_ascii())
}

fn in_query(token: &Token, query: &str) -> bool {
    let values = query.split('&').filter(|pair| is_key(pair)).filter_map(|pair| pair.split_once('='));
    values.map(|(_, value)| percent_decode_str(value).collect::<Vec<_>>()).any(|value| token.matches(&value))
}

fn is_key(pair: &str) -> bool {
    percent_decode_str(pair.split('=').next().unwrap_or_default()).eq(QUERY_KEY.bytes())
}
