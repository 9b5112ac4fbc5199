//! Discovery of keys in environment variables.
//!
//! Several ways of naming them are in use, and one deployment may mix them, so all of them are searched at
//! once. For a provider with the prefix `OPENAI`:
//!
//! | variable | holds |
//! |---|---|
//! | `OPENAI_API_KEY`, `OPENAI_API_KEY_1`, `OPENAI_API_KEY_2`, … | one key each; gaps are allowed |
//! | `OPENAI_API_KEYS` | keys separated by commas |
//! | `PROVIDER_OPENAI_API_KEY` | one key |
//! | `PROVIDER_OPENAI_BACKUP_KEYS` | backup keys separated by commas |
//! | `PROVIDER_OPENAI_MODEL` | the name of a model, see [`EnvKeys::model`] |
//!
//! A key is named after the variable that it comes from, so an operator who reads `OPENAI_API_KEY_2` in a log
//! knows which key to replace. The third item of a list is `OPENAI_API_KEYS#3`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::key::{ApiKey, InvalidSecret, KeyId, Secret, Tier};
use crate::provider::Provider;

/// The keys that environment variables hold for one provider, and a report of what each variable held.
///
/// The variables are those of the provider's [prefixes](Provider::env_prefixes): `OPENAI_API_KEY`,
/// `OPENAI_API_KEY_*` with numbers, `OPENAI_API_KEYS` (separated by commas), `PROVIDER_OPENAI_API_KEY`,
/// `PROVIDER_OPENAI_BACKUP_KEYS` (separated by commas, of [`Tier::Backup`]) and `PROVIDER_OPENAI_MODEL`. A
/// key is named after its variable; the third item of a list is `OPENAI_API_KEYS#3`.
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

/// One environment variable that was found, and what it held. Displayed as one line without a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvVar {
    /// Name of the variable. An item of a list has its number behind it: `OPENAI_API_KEYS#3`.
    pub variable: String,
    /// Kind of value that the variable held.
    pub found: EnvValue,
}

/// The kind of value that an environment variable held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvValue {
    /// Number of new keys.
    Keys(usize),
    /// A key that was found before, under the given name.
    Duplicate(KeyId),
    /// No value, or only blanks and commas.
    Empty,
    /// A text that cannot be a key. The other items of a list are used.
    Invalid(InvalidSecret),
    /// The name of a model.
    Model,
}

// === impl Discovery ===

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
        Self::with_prefixes(provider.env_prefixes(), vars)
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
        let mut search = EnvSearch { vars, names: HashMap::new(), found: Self::default() };
        for prefix in prefixes {
            search.prefix(prefix.as_ref());
        }
        search.found
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

    /// Logs the findings: invalid keys at `warn`, everything else at `debug`.
    pub fn report(&self, provider: &str) {
        for EnvVar { variable, found } in &self.findings {
            match found {
                EnvValue::Invalid(error) => {
                    tracing::warn!(target: "tower_key_rotation", provider, variable, %error, "not a key");
                }
                _ => tracing::debug!(target: "tower_key_rotation", provider, variable, ?found, "discovered"),
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

// === impl Finding ===

impl fmt::Display for EnvVar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, found } = self;
        match found {
            EnvValue::Keys(1) => write!(f, "{variable}: 1 key"),
            EnvValue::Keys(count) => write!(f, "{variable}: {count} keys"),
            EnvValue::Duplicate(first) => write!(f, "{variable}: the same key as {first}"),
            EnvValue::Empty => write!(f, "{variable}: empty"),
            EnvValue::Invalid(error) => write!(f, "{variable}: {error}"),
            EnvValue::Model => write!(f, "{variable}: a model"),
        }
    }
}

// === searching ===

struct EnvSearch {
    vars: BTreeMap<String, String>,
    /// Name of the first key with a secret, by the digest of the secret.
    names: HashMap<[u8; 32], KeyId>,
    found: EnvKeys,
}

impl EnvSearch {
    fn prefix(&mut self, prefix: &str) {
        let plain = format!("{prefix}_API_KEY");
        self.single(&plain);
        self.numbered(&format!("{plain}_"));
        self.list(&format!("{plain}S"), Tier::Primary);
        self.single(&format!("PROVIDER_{plain}"));
        self.list(&format!("PROVIDER_{prefix}_BACKUP_KEYS"), Tier::Backup);
        self.model(&format!("PROVIDER_{prefix}_MODEL"));
    }

    fn single(&mut self, variable: &str) {
        self.found.searched.push(variable.to_owned());
        if let Some(value) = self.vars.remove(variable) {
            let found = self.add(variable, value.trim(), Tier::Primary);
            self.report(variable, found);
        }
    }

    fn numbered(&mut self, stem: &str) {
        self.found.searched.push(format!("{stem}*"));
        let mut numbered: Vec<(u64, String)> = self
            .vars
            .range(stem.to_owned()..)
            .take_while(|(name, _)| name.starts_with(stem))
            .filter_map(|(name, _)| Some((number(&name[stem.len()..])?, name.clone())))
            .collect();
        numbered.sort_unstable();
        for (_, variable) in numbered {
            let value = self.vars.remove(&variable).unwrap_or_default();
            let found = self.add(&variable, value.trim(), Tier::Primary);
            self.report(&variable, found);
        }
    }

    fn list(&mut self, variable: &str, tier: Tier) {
        self.found.searched.push(variable.to_owned());
        let Some(value) = self.vars.remove(variable) else { return };
        let items: Vec<_> = value.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        let mut added = 0;
        for (index, item) in items.iter().enumerate() {
            match self.add(&format!("{variable}#{}", index + 1), item, tier) {
                EnvValue::Keys(count) => added += count,
                other => self.report(&format!("{variable}#{}", index + 1), other),
            }
        }
        if added > 0 {
            self.report(variable, EnvValue::Keys(added));
        } else if items.is_empty() {
            self.report(variable, EnvValue::Empty);
        }
    }

    fn model(&mut self, variable: &str) {
        let Some(value) = self.vars.remove(variable) else { return };
        let model = value.trim();
        if model.is_empty() {
            return self.report(variable, EnvValue::Empty);
        }
        self.found.model.get_or_insert_with(|| model.to_owned());
        self.report(variable, EnvValue::Model);
    }

    fn add(&mut self, name: &str, text: &str, tier: Tier) -> EnvValue {
        let secret = match Secret::new(text) {
            Ok(secret) => secret,
            Err(InvalidSecret::Empty) => return EnvValue::Empty,
            Err(error) => return EnvValue::Invalid(error),
        };
        let name = KeyId::from(name);
        let digest = secret.digest("");
        if let Some(first) = self.names.get(&digest) {
            return EnvValue::Duplicate(first.clone());
        }
        self.names.insert(digest, name.clone());
        self.found.keys.push(ApiKey::from(secret).id(name).tier(tier));
        EnvValue::Keys(1)
    }

    fn report(&mut self, variable: &str, found: EnvValue) {
        self.found.findings.push(EnvVar { variable: variable.to_owned(), found });
    }
}

fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok())?
}
