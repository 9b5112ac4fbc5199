//! Checking the keys of a pool, and making the entries of its key set.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::HeaderValue;

use crate::key;
use crate::key::{ApiKey, InvalidName, KeyId, Secret, SecretSource};
use crate::limits::Ledger;
use crate::pool::build::error::BuildError;
use crate::pool::keys::key::{Key, KeyState};
use crate::provider::{BaseUrl, Provider};

/// Checks the keys of a pool, and returns each with its id.
pub(super) fn named(provider: &Provider, keys: Vec<ApiKey>) -> Result<Vec<(ApiKey, KeyId)>, BuildError> {
    let digests: Vec<_> = keys.iter().map(|key| key.secret().digest(provider.name())).collect();
    check_names(&keys, &digests, provider)?;
    let mut first = HashMap::new();
    let mut ids = HashSet::new();
    let mut named = Vec::with_capacity(keys.len());
    for (index, (key, digest)) in keys.into_iter().zip(digests).enumerate() {
        let key = key::for_provider(key, provider);
        let id = key
            .declared_id()
            .cloned()
            .unwrap_or_else(|| KeyId::from(key.secret().fingerprint(provider.name())));
        // One secret may be valid at several base URLs, each with limits of its own.
        let place = key.own_base_url().cloned();
        let source = key.source().map(SecretSource::number);
        if let Some((number, first)) = first.insert((digest, source, place), (index + 1, id.clone())) {
            return Err(BuildError::DuplicateSecret { first, second: id, numbers: [number, index + 1] });
        }
        if !ids.insert(id.clone()) {
            return Err(BuildError::DuplicateId(id));
        }
        check_attributes(&key, &id)?;
        named.push((key, id));
    }
    Ok(named)
}

/// Checks that no name shows the secret of its key or is the secret of another key. Runs before the checks whose
/// errors contain names.
fn check_names(keys: &[ApiKey], digests: &[[u8; 32]], provider: &Provider) -> Result<(), BuildError> {
    let digests: HashSet<_> = digests.iter().collect();
    let is_secret =
        |name: &str| Secret::new(name).is_ok_and(|name| digests.contains(&name.digest(provider.name())));
    for (index, key) in keys.iter().enumerate() {
        let invalid = |(what, source)| BuildError::InvalidName { number: index + 1, what, source };
        key::check_names(key).map_err(invalid)?;
        if key.declared_id().map(KeyId::as_str).is_some_and(is_secret) {
            return Err(invalid(("id", InvalidName::ShowsSecret)));
        }
    }
    Ok(())
}

/// Checks the base URL and the endpoints of a key.
fn check_attributes(key: &ApiKey, id: &KeyId) -> Result<(), BuildError> {
    if key.own_base_url().map(BaseUrl::path).is_some_and(|path| key.appears_in(path)) {
        return Err(BuildError::SecretInBaseUrl(id.clone()));
    }
    match key.restriction().and_then(|restriction| restriction.invalid_endpoint()) {
        Some(_) => Err(BuildError::InvalidEndpoint(id.clone())),
        None => Ok(()),
    }
}

/// Makes the entry of a key.
pub(super) fn entry(
    provider: &Provider,
    (spec, id): (ApiKey, KeyId),
    ledger: Option<Arc<Ledger>>,
    state: Arc<KeyState>,
) -> Result<Key, BuildError> {
    match provider.auth().header_for(spec.secret()) {
        Ok(header) => Ok(Key { id, spec, header, ledger, state }),
        Err(source) => Err(BuildError::InvalidSecret { key: id, source }),
    }
}

/// Makes the entry of a number without a key.
pub(super) fn vacant() -> Key {
    let state = KeyState::new(0);
    state.remove();
    Key {
        id: KeyId::from("removed"),
        spec: ApiKey::not_needed(),
        header: HeaderValue::from_static(""),
        ledger: None,
        state: Arc::new(state),
    }
}
