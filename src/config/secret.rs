//! Secrets in a file, and where they really are.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;

use super::error::{ConfigError, Problem};
use super::place::Steps;
use super::shown::{shown_path, shown_variable};
use super::warning::{Risk, Warning, is_readable_by_others};
use crate::key::{InvalidSecret, Secret};

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
    /// The file that literal secrets are in.
    pub(super) file: Option<PathBuf>,
    /// What was found on the way.
    pub(super) warnings: RefCell<Vec<Warning>>,
}

impl Sources {
    /// Each is said once: a file may hold several secrets.
    pub(super) fn warn(&self, warning: Warning) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    fn warn_of_file(&self, path: &Path, at: &Steps) {
        if is_readable_by_others(path) {
            self.warn(Warning::new(at.clone(), Risk::ReadableByOthers { file: path.to_owned() }));
        }
    }
}

/// A token that callers have to show. Redacted in every format, not serializable.
#[derive(Clone)]
pub struct Token(Secret);

// === impl Reference ===

impl Reference {
    /// The secret's text.
    pub(super) fn read(&self, sources: &Sources, at: &Steps) -> Result<Secret, ConfigError> {
        let text = self.text(sources, at).map_err(|problem| problem.at(at.clone()))?;
        Secret::new(text).map_err(|why| Problem::Secret(why).at(at.clone()))
    }

    fn text(&self, sources: &Sources, at: &Steps) -> Result<String, Problem> {
        match self {
            Self::Variable(name) => variable(name, &sources.vars),
            Self::File(path) => {
                let path = sources.directory.join(path);
                let text = file(&path)?;
                sources.warn_of_file(&path, at);
                Ok(text)
            }
            Self::Literal(text) => {
                let text = text.expose_secret();
                if looks_like_reference(text) {
                    return Err(Problem::Reference);
                }
                if let Some(file) = &sources.file {
                    sources.warn_of_file(file, &Steps::default());
                }
                Ok(text.to_owned())
            }
        }
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
    let missing = || Problem::MissingVariable { name: shown_variable(name).into_owned() };
    let value = vars.get(name).ok_or_else(missing)?;
    Ok(value.trim().to_owned())
}

/// A file that is longer than a secret may be is not read.
fn file(path: &Path) -> Result<String, Problem> {
    const LINE_ENDS: u64 = 16;
    let unreadable = |source| Problem::SecretFile { path: PathBuf::from(&*shown_path(path)), source };
    let mut text = String::new();
    let limit = Secret::MAX as u64 + LINE_ENDS;
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_string(&mut text));
    match read {
        Ok(read) if read as u64 > limit => return Err(Problem::Secret(InvalidSecret::TooLong)),
        read => read.map_err(unreadable)?,
    };
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

/// Whether a text means to be looked up somewhere: `ENV:X`, `$X`, `${X}`, `{{ x }}`, `<key>`, `vault://x`.
fn looks_like_reference(text: &str) -> bool {
    let text = text.trim();
    let scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
        let word = scheme.trim();
        word.eq_ignore_ascii_case("env") || word.eq_ignore_ascii_case("file") || rest.starts_with("//")
    });
    let enclosed = |open: char, close: char| text.starts_with(open) && text.ends_with(close);
    scheme || text.starts_with('$') || enclosed('{', '}') || enclosed('<', '>') || enclosed('%', '%')
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
