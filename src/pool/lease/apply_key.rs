//! Applying a key to a request.

use http::{HeaderMap, Uri};

use crate::pool::keys::key::Key;
use crate::provider::{Provider, port};

/// An error from [`Lease::apply_key`](crate::pool::Lease::apply_key): the key was not applied to the request, which must
/// not be sent. The message names the host at most, no path and no query.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApplyKeyError {
    message: String,
    #[source]
    source: Option<http::Error>,
}

/// Applies a key to a request to `uri`, if its origin belongs to the provider. Removes all other credentials.
pub(in crate::pool) fn apply_key(
    provider: &Provider,
    key: &Key,
    uri: &mut Uri,
    headers: &mut HeaderMap,
) -> Result<(), ApplyKeyError> {
    if !provider.allows(uri) {
        return Err(ApplyKeyError::foreign(provider, uri));
    }
    provider.auth().strip(uri, headers).map_err(ApplyKeyError::url)?;
    let auth = provider.auth_at(uri);
    if auth == provider.auth() {
        return auth.apply_key(uri, headers, &key.header).map_err(ApplyKeyError::url);
    }
    // The other scheme is rare enough to render the key each time. A secret that made one header makes the
    // other, too.
    let header = auth.header_for(key.spec.secret()).map_err(|_| ApplyKeyError::foreign(provider, uri))?;
    auth.apply_key(uri, headers, &header).map_err(ApplyKeyError::url)
}

// === impl ApplyKeyError ===

impl ApplyKeyError {
    fn foreign(provider: &Provider, uri: &Uri) -> Self {
        let name = provider.name();
        let message = match (uri.scheme_str(), uri.host()) {
            (Some(scheme), Some(host)) => {
                let port = match uri.authority().map(|authority| port(authority, scheme == "https")) {
                    Some(Some(_)) => uri.port_u16().map_or_else(String::new, |port| format!(":{port}")),
                    _ => ", whose port is no number from 1 to 65535 or which has a user name,".into(),
                };
                format!(
                    "{scheme}://{host}{port} is not an origin of {name}, so no key goes there: correct the URL, \
                     or allow the origin with `Provider::allow_origin`"
                )
            }
            _ => format!(
                "the request's URI names no host, so it can't be told whether keys of {name} may go there: give \
                 it an absolute URI before it reaches the rotation layer"
            ),
        };
        Self { message, source: None }
    }

    fn url(source: http::Error) -> Self {
        Self { message: "the URL can't be rewritten: send one that is shorter".into(), source: Some(source) }
    }
}
