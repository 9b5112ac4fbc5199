//! Applying a key to a request.

use std::sync::atomic::Ordering;

use http::{HeaderMap, Request, Uri};
use tower::BoxError;

use crate::key::{ChosenKey, Issued, KeyId};
use crate::pool::Lease;
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key::Key;
use crate::provider::{AccountHeaders, Provider, Unroutable, port};

/// An error from [`Lease::apply_key`](crate::pool::Lease::apply_key): the key was not applied to the request, which must
/// not be sent. The message names the host at most, no path and no query.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApplyKeyError {
    message: String,
    #[source]
    source: Option<BoxError>,
}

/// Applies the key of a lease to a request to `uri`. `own` are the operator's headers that name the account.
pub(in crate::pool) fn apply(
    lease: &Lease,
    uri: &mut Uri,
    headers: &mut HeaderMap,
    own: Option<&AccountHeaders>,
) -> Result<(), ApplyKeyError> {
    let key = lease.candidate().key();
    if !lease.has_secret() {
        return Err(ApplyKeyError::no_secret(&key.id));
    }
    apply_key(&lease.set.common.provider, key, uri, headers, own, lease.issued())?;
    lease.stamped.store(true, Ordering::Relaxed);
    Ok(())
}

/// Applies the key of a lease to a request, and names it in an extension if `tell` is set or if the key has a
/// destination of its own.
pub(in crate::pool) fn apply_to<B>(
    lease: &Lease,
    request: &mut Request<B>,
    tell: bool,
) -> Result<(), ApplyKeyError> {
    let mut uri = std::mem::take(request.uri_mut());
    let own = request.extensions().get::<AccountHeaders>().cloned();
    apply(lease, &mut uri, request.headers_mut(), own.as_ref())?;
    *request.uri_mut() = uri;
    let (candidate, extensions) = (lease.candidate(), request.extensions_mut());
    #[cfg(feature = "sigv4")]
    add_signing_secret(extensions, &lease.set.common.provider, lease.secret());
    if tell || candidate.key().spec.destination().is_some() {
        add_chosen_key(extensions, candidate);
    }
    Ok(())
}

/// Adds the secret with which a layer inside signs the request, if the provider's keys sign requests.
#[cfg(feature = "sigv4")]
pub(in crate::pool) fn add_signing_secret(
    extensions: &mut http::Extensions,
    provider: &Provider,
    secret: &crate::key::Secret,
) {
    if *provider.auth() == crate::provider::AuthScheme::AwsSigV4 {
        extensions.insert(crate::provider::SigningSecret(secret.clone()));
    }
}

/// Names the key to the client inside.
pub(in crate::pool) fn add_chosen_key(extensions: &mut http::Extensions, candidate: Candidate<'_>) {
    let (key, account) = (candidate.key(), candidate.set.accounts[candidate.account].id.clone());
    extensions.insert(ChosenKey::new(key.id.clone(), account, key.spec.destination().cloned()));
}

/// Applies a key to a request to `uri`, after directing the request to the base URL of the key, if it has one. Without
/// one, the origin of `uri` must belong to the provider. Removes all other credentials. `own` are the operator's
/// headers that name the account, and `issued` is the secret of a key with a source.
pub(in crate::pool) fn apply_key(
    provider: &Provider,
    key: &Key,
    uri: &mut Uri,
    headers: &mut HeaderMap,
    own: Option<&AccountHeaders>,
    issued: Option<&Issued>,
) -> Result<(), ApplyKeyError> {
    let destination = key.spec.destination().map(|destination| &**destination);
    match destination.filter(|destination| destination.base_url.is_some()) {
        Some(destination) => {
            destination.direct(uri, headers).map_err(|source| ApplyKeyError::unroutable(&key.id, source))?;
        }
        None if provider.allows(uri) => {}
        None => return Err(ApplyKeyError::foreign(provider, uri)),
    }
    provider.auth().strip(uri, headers).map_err(ApplyKeyError::url)?;
    own.into_iter().for_each(|own| own.apply(headers));
    destination.into_iter().for_each(|destination| destination.set_headers(headers));
    let auth = provider.auth_at(uri, issued.map_or_else(|| key.spec.secret(), Issued::secret));
    let header = match issued {
        Some(issued) => issued.header(auth),
        None if std::ptr::eq(auth, provider.auth()) || auth == provider.auth() => Ok(key.header.clone()),
        // The other scheme is rare enough to render the key each time.
        None => auth.header_for(key.spec.secret()),
    };
    // A secret that made one header makes the other, too.
    let header = header.map_err(|_| ApplyKeyError::foreign(provider, uri))?;
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

    pub(in crate::pool) fn url(source: http::Error) -> Self {
        let message = "the URL can't be rewritten: send one that is shorter".into();
        Self { message, source: Some(source.into()) }
    }

    pub(crate) fn unroutable(key: &KeyId, source: Unroutable) -> Self {
        let message = format!("the request can't be sent with key {key}: {source}");
        Self { message, source: Some(source.into()) }
    }

    /// The source of the key has no valid secret.
    pub(crate) fn no_secret(key: &KeyId) -> Self {
        let message =
            format!("key {key} has no valid secret: wait for its source with `SecretSource::ready`");
        Self { message, source: None }
    }

    /// Returns the reason for which the request can't be sent with the key, if the request is the reason: it has no
    /// place at the base URL of the key or in its cloud, or no model that could be renamed.
    pub(crate) fn unroutable_because(&self) -> Option<Unroutable> {
        self.source.as_ref()?.downcast_ref().copied()
    }
}
