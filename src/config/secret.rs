//! Secrets in a file, and where they really are.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;

use super::error::Problem;
use crate::key::Secret;

/// `env:NAME`, `file:PATH`, or the secret itself.
pub(super) enum Reference {
    Variable(String),
    File(PathBuf),
    Literal(SecretString),
}

/// What references are looked up in.
pub(super) struct Sources {
    pub(super) vars: BTreeMap<String, String>,
    /// Where relative paths start.
    pub(super) directory: PathBuf,
}

/// A token that callers have to show. Redacted in every format, not serializable.
#[derive(Clone)]
pub struct Token(Secret);

// === impl Reference ===

impl Reference {
    /// The secret's text.
    pub(super) fn read(&self, sources: &Sources) -> Result<Secret, Problem> {
        let text = match self {
            Self::Variable(name) => variable(name, &sources.vars)?,
            Self::File(path) => file(&sources.directory.join(path))?,
            Self::Literal(text) => text.expose_secret().to_owned(),
        };
        Secret::new(text).map_err(Problem::Secret)
    }

    /// What to call the key where the file gives it no name.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Variable(name) => Some(name),
            Self::File(path) => path.file_name()?.to_str(),
            Self::Literal(_) => None,
        }
    }
}

fn variable(name: &str, vars: &BTreeMap<String, String>) -> Result<String, Problem> {
    // A key that was put here by mistake must not end up in an error.
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Problem::VariableName);
    }
    let value = vars.get(name).ok_or_else(|| Problem::MissingVariable { name: name.to_owned() })?;
    Ok(value.trim().to_owned())
}

fn file(path: &Path) -> Result<String, Problem> {
    let unreadable = |source| Problem::SecretFile { path: path.to_owned(), source };
    let mut text = std::fs::read_to_string(path).map_err(unreadable)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.split_once(':') {
            Some(("env", name)) => Self::Variable(name.trim().to_owned()),
            Some(("file", path)) => Self::File(PathBuf::from(path.trim())),
            _ => Self::Literal(SecretString::from(text)),
        })
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(_) => f.write_str("Variable(redacted)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Literal(_) => f.write_str("Literal(redacted)"),
        }
    }
}

// === impl Token ===

impl Token {
    pub(super) const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// Whether this is the token. Takes as long for a wrong one as for the right one; its length may show.
    pub fn matches(&self, shown: &[u8]) -> bool {
        self.0.expose().as_bytes().ct_eq(shown).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}
