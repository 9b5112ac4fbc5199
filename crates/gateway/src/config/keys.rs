//! The keys of a provider: those of its `[[provider.key]]` tables, and those in environment variables.

use std::collections::BTreeSet;

use http::Uri;
use tower_key_rotation::key::{ApiKey, EnvKeys};
use tower_key_rotation::pool::{BuildError, KeyPool, KeyPoolBuilder};
use tower_key_rotation::provider::Provider;

use crate::config::chain::choice;
use crate::config::error::{ConfigError, Problem};
use crate::config::file::KeyTable;
use crate::config::key_attributes::KeyAttributes;
use crate::config::limit;
use crate::config::location::ValuePath;
use crate::config::redact::redacted_variable;
use crate::config::secret::Sources;

/// The keys of one provider, in the order in which its pool gets them.
pub(super) struct Keys {
    found: Vec<FoundKey>,
    /// Names of the accounts that the tables set.
    accounts: BTreeSet<String>,
    /// Names of the variables that were searched, with `*` for a number.
    searched: Vec<String>,
    /// Variables that were found, each with the reason why it has no key.
    faults: Vec<String>,
}

/// A key, its name in errors, and its place in the file.
struct FoundKey {
    key: ApiKey,
    name: String,
    at: ValuePath,
    /// Path of its own base URL.
    path: Option<String>,
}

// === impl Keys ===

impl Keys {
    /// Reads the keys of a provider: first those in variables with the prefix, then those of the tables.
    pub(super) fn read(
        provider: &Provider,
        base_url: &Uri,
        prefix: Option<&str>,
        tables: Vec<KeyTable>,
        sources: &Sources,
        at: &ValuePath,
    ) -> Result<Self, ConfigError> {
        let accounts = tables.iter().filter_map(|table| table.account.clone()).collect();
        let listed = tables.into_iter().enumerate();
        let listed = listed
            .map(|(index, table)| FoundKey::read(table, base_url, sources, at.field("key").index(index)));
        let listed = listed.collect::<Result<Vec<_>, _>>()?;
        if prefix.is_some_and(|prefix| !is_prefix(prefix)) {
            return Err(Problem::Prefix.at(at.field("keys_env")));
        }
        let discovery = prefix.map(|prefix| EnvKeys::with_prefixes([prefix], sources.vars.clone()));
        let discovery = discovery.unwrap_or_default();
        discovery.report(provider.name());
        let searched = discovery.searched().to_vec();
        let faults = discovery.findings().iter().filter(|finding| finding.is_warning());
        let faults = faults.map(ToString::to_string).collect();
        let discovered = discovery.into_iter().map(|key| FoundKey {
            name: key.declared_id().map_or_else(String::new, ToString::to_string),
            at: at.field("keys_env"),
            path: None,
            key,
        });
        let keys = Self { found: discovered.chain(listed).collect(), accounts, searched, faults };
        let shows = |found: &&FoundKey| found.path.as_ref().is_some_and(|path| keys.appear_in(path));
        match keys.found.iter().find(shows) {
            Some(found) => {
                let reason = "its path contains one of the provider's keys";
                Err(Problem::Url { reason }.at(found.at.field("base_url")))
            }
            None => Ok(keys),
        }
    }

    /// Returns whether a text shows one of the keys.
    pub(super) fn appear_in(&self, text: &str) -> bool {
        self.found.iter().any(|found| found.key.appears_in(text))
    }

    pub(super) fn have_account(&self, name: &str) -> bool {
        self.accounts.contains(name)
    }

    /// Iterates over the names of the declared accounts, in alphabetical order.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(String::as_str)
    }

    /// Returns the keys.
    pub(super) fn list(&self) -> Vec<ApiKey> {
        self.found.iter().map(|found| found.key.clone()).collect()
    }

    /// Adds the keys to a pool and builds it. An error names the place of the key at fault.
    pub(super) fn build(&self, pool: KeyPoolBuilder, at: &ValuePath) -> Result<KeyPool, ConfigError> {
        pool.keys(self.list()).build().map_err(|error| self.problem(error, at))
    }

    fn problem(&self, error: BuildError, at: &ValuePath) -> ConfigError {
        let key = |number: usize| number.checked_sub(1).and_then(|index| self.found.get(index));
        match error {
            BuildError::NoKeys { .. } => {
                let (searched, faults) = (self.searched.clone(), self.faults.clone());
                Problem::NoKeys { searched, faults }.at(at.clone())
            }
            BuildError::InvalidName { number, what, source } => {
                let at = key(number).map_or(at, |key| &key.at);
                Problem::KeyName(source).at(at.field(what))
            }
            BuildError::DuplicateSecret { numbers, first, second } => match numbers.map(key) {
                [Some(first), Some(second)] => {
                    let (first, at) = (first.name.clone(), second.at.field("secret"));
                    Problem::DuplicateSecret { first, second: second.name.clone() }.at(at)
                }
                _ => Problem::Pool(BuildError::DuplicateSecret { numbers, first, second }).at(at.clone()),
            },
            BuildError::DuplicateId(id) => {
                let last = self.found.iter().rfind(|found| found.key.declared_id() == Some(&id));
                let at = last.map_or(at, |found| &found.at);
                Problem::DuplicateKey { id: redacted_variable(id.as_str()).into_owned() }.at(at.field("id"))
            }
            BuildError::InvalidEndpoint(id) => {
                let is_it = |found: &&FoundKey| found.name == redacted_variable(id.as_str());
                Problem::Endpoint.at(self.found.iter().find(is_it).map_or(at, |found| &found.at).clone())
            }
            other => Problem::Pool(other).at(at.clone()),
        }
    }
}

/// Returns whether a text can be a prefix of variable names and cannot be a key.
fn is_prefix(prefix: &str) -> bool {
    let is_name = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name && !prefix.is_empty() && (redacted_variable(prefix) == prefix)
}

// === impl FoundKey ===

impl FoundKey {
    fn read(
        mut table: KeyTable,
        base_url: &Uri,
        sources: &Sources,
        at: ValuePath,
    ) -> Result<Self, ConfigError> {
        let attributes = KeyAttributes::take(&mut table);
        let KeyTable { id, secret, account, tier, weight, limit, .. } = table;
        if id.as_ref().is_some_and(String::is_empty) {
            return Err(Problem::Name.at(at.field("id")));
        }
        let tier = choice(tier.as_deref(), &at.field("tier"))?;
        let (key, name) = secret.key(sources, &at.field("secret"))?;
        let mut key = key.tier(tier);
        let id = id.or(name);
        if let Some(id) = &id {
            key = key.id(id.as_str());
        }
        if let Some(account) = account {
            key = key.account(account);
        }
        if let Some(weight) = weight {
            key = key.weight(weight);
        }
        for (index, table) in limit.iter().enumerate() {
            let at = at.field("limit").index(index);
            if table.account.is_some() {
                return Err(Problem::AccountOfKey.at(at.field("account")));
            }
            key = limit::quotas(table, &at)?.into_iter().fold(key, ApiKey::quota);
        }
        let name = id.map_or_else(|| at.to_string(), |id| redacted_variable(&id).into_owned());
        let (key, path) = attributes.apply(key, base_url, sources, &at)?;
        Ok(Self { key, name, at, path })
    }
}
