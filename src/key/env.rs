//! Keys in environment variables.
//!
//! Several ways of naming them are in use, and one deployment may mix them, so all of them are searched at
//! once. For a provider with the prefix `OPENAI`:
//!
//! | variable | holds |
//! |---|---|
//! | `OPENAI_API_KEY` | one or more keys |
//! | `OPENAI_API_KEY_1`, `OPENAI_API_KEY_2`, … | one or more keys each; gaps are allowed |
//! | `OPENAI_API_KEYS` | one or more keys |
//! | `PROVIDER_OPENAI_API_KEY` | one or more keys |
//! | `PROVIDER_OPENAI_BACKUP_KEYS` | one or more backup keys |
//! | `PROVIDER_OPENAI_MODEL` | the name of a model, see [`EnvKeys::model`] |
//! | a name of the provider's own, such as `HF_TOKEN`, `HF_TOKEN_1`, … | one or more keys |
//!
//! Keys are separated by commas, semicolons or white space, so a file with a key per line may be used as the
//! value. A key is named after the variable that it comes from, so an operator who reads `OPENAI_API_KEY_2` in
//! a log knows which key to replace. The third of several keys is `OPENAI_API_KEYS#3`.

mod found;
mod near;
mod search;
mod shape;

use std::fmt;

use crate::key::ApiKey;
pub use crate::key::env::found::{EnvFault, EnvValue, EnvVar};
use crate::key::env::search::EnvSearch;
use crate::provider::Provider;

/// The keys that environment variables hold for one provider, and a report of what each variable held.
///
/// For each of the provider's [prefixes](Provider::env_prefixes), such as `OPENAI`, these variables are
/// searched, and so are those with a [name of the provider's own](Provider::env_names):
///
/// | variable | holds |
/// |---|---|
/// | `OPENAI_API_KEY` | one or more keys |
/// | `OPENAI_API_KEY_1`, `OPENAI_API_KEY_2`, … | one or more keys each; gaps are allowed |
/// | `OPENAI_API_KEYS` | one or more keys |
/// | `PROVIDER_OPENAI_API_KEY` | one or more keys |
/// | `PROVIDER_OPENAI_BACKUP_KEYS` | one or more keys of [`Tier::Backup`](crate::key::Tier::Backup) |
/// | `PROVIDER_OPENAI_MODEL` | the name of a model |
/// | `HF_TOKEN`, `HF_TOKEN_1`, … | one or more keys, for a provider with this name |
///
/// Keys are separated by commas, semicolons or white space. A key is named after its variable; the third of
/// several is `OPENAI_API_KEYS#3`. A value with [something else](EnvFault) in it, such as quotation marks,
/// `Bearer ` or a comment, is not used, and [`findings`](Self::findings) say why. They also list a variable
/// that is named almost like one of these, and a key that looks like a placeholder or like one of another
/// provider.
///
/// A variable holds secrets only. Base URLs and other attributes of keys are not searched: variables like
/// `OPENAI_BASE_URL`, which SDKs read, often name a gateway, which would then call itself.
///
/// ```
/// use tower_key_rotation::Provider;
/// use tower_key_rotation::key::EnvKeys;
///
/// let vars = [("OPENAI_API_KEY", "sk-one"), ("OPENAI_API_KEY_7", "sk-two"), ("PATH", "/bin")];
/// let found = EnvKeys::in_vars(&Provider::openai(), vars);
/// assert_eq!(found.keys().len(), 2);
/// assert_eq!(found.to_string(), "OPENAI_API_KEY: 1 key\nOPENAI_API_KEY_7: 1 key\n");
/// ```
#[derive(Clone, Debug, Default)]
pub struct EnvKeys {
    keys: Vec<ApiKey>,
    findings: Vec<EnvVar>,
    model: Option<String>,
    searched: Vec<String>,
}

// === impl EnvKeys ===

impl EnvKeys {
    /// Searches the environment of the process.
    ///
    /// Variables whose name is not valid UTF-8 are ignored.
    pub fn in_process(provider: &Provider) -> Self {
        let vars = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        Self::in_vars(provider, vars)
    }

    /// Searches the given variables, as `(name, value)` pairs.
    pub fn in_vars<N, V>(provider: &Provider, vars: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let vars = vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let owner_of = |key: &str| provider.owner_of(key);
        let mut search = EnvSearch::new(vars, &owner_of);
        for name in provider.env_names() {
            search.name(name);
        }
        Self::of(search, provider.env_prefixes())
    }

    /// Searches the given variables for custom prefixes: `["OPENAI"]` finds `OPENAI_API_KEY`.
    pub fn with_prefixes<P, N, V>(
        prefixes: impl IntoIterator<Item = P>,
        vars: impl IntoIterator<Item = (N, V)>,
    ) -> Self
    where
        P: AsRef<str>,
        N: Into<String>,
        V: Into<String>,
    {
        let vars = vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let prefixes: Vec<_> = prefixes.into_iter().collect();
        Self::of(EnvSearch::new(vars, &|_| None), &prefixes)
    }

    fn of(mut search: EnvSearch<'_>, prefixes: &[impl AsRef<str>]) -> Self {
        for prefix in prefixes {
            search.prefix(prefix.as_ref());
        }
        for prefix in prefixes {
            search.near_misses(prefix.as_ref());
        }
        let EnvSearch { keys, findings, model, searched, .. } = search;
        Self { keys, findings, model, searched }
    }

    /// Returns the keys in the order in which they were found. Of several keys with the same secret, only the
    /// first is included.
    pub fn keys(&self) -> &[ApiKey] {
        &self.keys
    }

    /// Returns the model named by `PROVIDER_<PREFIX>_MODEL`, if any. The crate itself does not use it.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Returns the variables that were found, and what each of them held.
    pub fn findings(&self) -> &[EnvVar] {
        &self.findings
    }

    /// Logs the findings: warnings at `warn`, everything else at `debug`.
    pub fn report(&self, provider: &str) {
        for finding in &self.findings {
            if finding.is_warning() && finding.found != EnvValue::Empty {
                tracing::warn!(target: "tower_key_rotation", provider, %finding, "environment");
            } else {
                tracing::debug!(target: "tower_key_rotation", provider, %finding, "environment");
            }
        }
    }

    /// Returns the names of all variables that were searched for keys; `*` stands for a number.
    pub fn searched(&self) -> &[String] {
        &self.searched
    }
}

impl fmt::Display for EnvKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return writeln!(f, "nothing found in {}", self.searched.join(", "));
        }
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

impl IntoIterator for EnvKeys {
    type Item = ApiKey;
    type IntoIter = std::vec::IntoIter<ApiKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.keys.into_iter()
    }
}
