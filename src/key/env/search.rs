//! The search of variables for the keys of one provider.

use std::collections::{BTreeMap, HashMap};

use crate::key::env::found::{EnvValue, EnvVar};
use crate::key::env::near::near;
use crate::key::env::shape;
use crate::key::{ApiKey, InvalidSecret, KeyId, Secret, Tier};

/// The variables that are left, and what was found in the others.
pub(super) struct EnvSearch<'a> {
    vars: BTreeMap<String, String>,
    /// Name of the first key with a secret, by the digest of the secret.
    names: HashMap<[u8; 32], KeyId>,
    /// Returns the preset to which a key seems to belong, if that is another one.
    owner_of: &'a dyn Fn(&str) -> Option<&'static str>,
    pub(super) keys: Vec<ApiKey>,
    pub(super) findings: Vec<EnvVar>,
    pub(super) model: Option<String>,
    pub(super) searched: Vec<String>,
}

// === impl EnvSearch ===

impl<'a> EnvSearch<'a> {
    pub(super) fn new(
        vars: BTreeMap<String, String>,
        owner_of: &'a dyn Fn(&str) -> Option<&'static str>,
    ) -> Self {
        Self {
            vars,
            names: HashMap::new(),
            owner_of,
            keys: Vec::new(),
            findings: Vec::new(),
            model: None,
            searched: Vec::new(),
        }
    }

    pub(super) fn prefix(&mut self, prefix: &str) {
        let plain = format!("{prefix}_API_KEY");
        self.name(&plain);
        self.list(&format!("{plain}S"), Tier::Primary);
        self.list(&format!("PROVIDER_{plain}"), Tier::Primary);
        self.list(&format!("PROVIDER_{prefix}_BACKUP_KEYS"), Tier::Backup);
        self.model(&format!("PROVIDER_{prefix}_MODEL"));
    }

    /// Searches the variable with this name, and those with a number behind it.
    pub(super) fn name(&mut self, name: &str) {
        self.list(name, Tier::Primary);
        self.numbered(&format!("{name}_"));
    }

    /// Reports variables that are named much like one that was searched.
    pub(super) fn near_misses(&mut self, prefix: &str) {
        let unread = self.vars.keys().filter_map(|name| Some((name.clone(), near(name, prefix)?)));
        let unread: Vec<_> = unread.collect();
        for (name, meant) in unread {
            self.vars.remove(&name);
            self.report(&name, EnvValue::Unread(meant));
        }
    }

    fn numbered(&mut self, stem: &str) {
        self.searched.push(format!("{stem}*"));
        let mut numbered: Vec<(u64, String)> = self
            .vars
            .range(stem.to_owned()..)
            .take_while(|(name, _)| name.starts_with(stem))
            .filter_map(|(name, _)| Some((number(&name[stem.len()..])?, name.clone())))
            .collect();
        numbered.sort_unstable();
        for (_, variable) in numbered {
            self.value(&variable, Tier::Primary);
        }
    }

    fn list(&mut self, variable: &str, tier: Tier) {
        self.searched.push(variable.to_owned());
        self.value(variable, tier);
    }

    /// Takes the keys of a variable. A single key has its name, the third of several has `NAME#3`.
    fn value(&mut self, variable: &str, tier: Tier) {
        let Some(value) = self.vars.remove(variable) else { return };
        if let Some(fault) = shape::fault(&value) {
            return self.report(variable, EnvValue::Faulty(fault));
        }
        let items: Vec<_> = value.split(is_separator).filter(|item| !item.is_empty()).collect();
        if items.len() > 1 && shape::is_placeholder(value.trim()) {
            return self.report(variable, EnvValue::Placeholder);
        }
        let is_plural = items.len() > 1 || variable.ends_with("KEYS");
        let mut added = 0;
        for (index, item) in items.iter().enumerate() {
            let name = if is_plural { format!("{variable}#{}", index + 1) } else { variable.to_owned() };
            match self.add(&name, item, tier) {
                EnvValue::Keys(count) => added += count,
                other => self.report(&name, other),
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
        self.model.get_or_insert_with(|| model.to_owned());
        self.report(variable, EnvValue::Model);
    }

    fn add(&mut self, name: &str, text: &str, tier: Tier) -> EnvValue {
        if let Some(fault) = shape::fault_of_key(text) {
            return EnvValue::Faulty(fault);
        }
        let secret = match Secret::new(text) {
            Ok(secret) => secret,
            Err(InvalidSecret::Empty) => return EnvValue::Empty,
            Err(error) => return EnvValue::Invalid(error),
        };
        let id = KeyId::from(name);
        let digest = secret.digest("");
        if let Some(first) = self.names.get(&digest) {
            return EnvValue::Duplicate(first.clone());
        }
        if shape::is_placeholder(text) {
            self.report(name, EnvValue::Placeholder);
        } else if let Some(owner) = (self.owner_of)(text) {
            self.report(name, EnvValue::Foreign(owner));
        }
        self.names.insert(digest, id.clone());
        self.keys.push(ApiKey::from(secret).id(id).tier(tier));
        EnvValue::Keys(1)
    }

    fn report(&mut self, variable: &str, found: EnvValue) {
        self.findings.push(EnvVar { variable: variable.to_owned(), found });
    }
}

fn is_separator(char: char) -> bool {
    matches!(char, ',' | ';') || char.is_whitespace()
}

fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok())?
}
