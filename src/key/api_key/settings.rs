//! Checks and comparisons of the settings of keys.

use std::fmt;

use crate::key::api_key::ApiKey;
use crate::key::id::{AccountId, InvalidName, KeyId, check_name};
use crate::key::source::SecretSource;
use crate::provider::{BaseUrl, Provider};

/// Checks whether the names of a key and its account may be shown. The error says which of them may not, and why.
pub(crate) fn check_names(key: &ApiKey) -> Result<(), (&'static str, InvalidName)> {
    let check = |what, name: Option<&str>| {
        let checked = name.map_or(Ok(()), |name| check_name(name, key.secret.expose()));
        checked.map_err(|why| (what, why))
    };
    check("id", key.id.as_ref().map(KeyId::as_str))?;
    check("account", key.account.as_ref().map(AccountId::as_str))
}

/// Returns the key with paths joined to its base URL as the provider does.
pub(crate) fn for_provider(mut key: ApiKey, provider: &Provider) -> ApiKey {
    if key.own_base_url().is_some() {
        let base = &mut key.destination_mut().base_url;
        *base = base.take().map(|base| base.with_base_path(|path| provider.base_path(path)));
    }
    key
}

/// Returns whether both keys have the same settings. Their secrets and ids may differ.
pub(crate) fn are_alike(one: &ApiKey, other: &ApiKey) -> bool {
    let ApiKey { secret: _, source: _, id: _, account, tier, weight, quotas, destination, restriction } = one;
    (account, tier, weight, quotas) == (&other.account, &other.tier, &other.weight, &other.quotas)
        && (destination, restriction) == (&other.destination, &other.restriction)
}

/// Returns a digest that is the same for a key in every process: of its secret, and of its base URL if it has one. The
/// id of a key with a source stands for its secret.
pub(crate) fn digest(key: &ApiKey, id: &KeyId, provider: &str) -> [u8; 32] {
    let source = key.source.as_ref().map(|_| id.as_str());
    match (source, key.own_base_url()) {
        (None, None) => key.secret.digest(provider),
        (source, base) => {
            let base = base.map_or_else(String::new, |base| format!("{base}{}", base.path()));
            key.secret.digest(&[provider, source.unwrap_or_default(), &base].join("\0"))
        }
    }
}

/// Returns the secret, or the number of its source, and the place where it is sent. Two keys in which all are equal
/// are the same key.
pub(crate) fn identity(key: &ApiKey) -> (&str, Option<usize>, Option<&BaseUrl>) {
    (key.secret.expose(), key.source.as_ref().map(SecretSource::number), key.own_base_url())
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret, source, id, account, tier, weight, quotas, destination, restriction } = self;
        let names: (&dyn fmt::Debug, &dyn fmt::Debug) = match check_names(self) {
            Ok(()) => (id, account),
            Err(_) => (&"withheld", &"withheld"),
        };
        f.debug_struct("ApiKey")
            .field("secret", secret)
            .field("source", source)
            .field("id", names.0)
            .field("account", names.1)
            .field("tier", tier)
            .field("weight", weight)
            .field("quotas", quotas)
            .field("destination", destination)
            .field("restriction", restriction)
            .finish()
    }
}
