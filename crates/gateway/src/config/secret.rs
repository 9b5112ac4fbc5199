//! References to secrets in a file, and their resolution.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use http::Uri;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;

use crate::config::error::{ConfigError, Problem};
use crate::config::known_source::KnownSource;
use crate::config::location::ValuePath;
use crate::config::read_file::{self, ReadFile};
use crate::config::redact::{redacted_path, redacted_variable};
use crate::config::warning::{Risk, Warning, is_readable_by_others};
use tower_key_rotation::key::{InvalidSecret, Secret, SecretSource};

/// Minimum length of a token in characters (8).
const SHORTEST_TOKEN: usize = 8;

/// A setting for a secret: `env:NAME`, `file:PATH`, or the secret itself.
pub(super) enum Reference {
    Variable(String),
    File(PathBuf),
    Literal(SecretString),
}

/// Sources in which references are looked up.
pub(super) struct Sources {
    pub(super) vars: BTreeMap<String, String>,
    /// Directory to which paths are relative.
    pub(super) directory: PathBuf,
    /// File that contains literal secrets, if there is one.
    pub(super) file: Option<PathBuf>,
    /// Warnings found so far.
    pub(super) warnings: RefCell<Vec<Warning>>,
    /// Files that were read so far: that of the configuration, and those of secrets.
    pub(super) read: RefCell<Vec<ReadFile>>,
    /// The sources of secrets that a configuration before this one had, as far as they were not found here yet.
    pub(super) before: RefCell<Vec<KnownSource>>,
    /// The sources of secrets that were found so far.
    pub(super) found: RefCell<Vec<KnownSource>>,
}

impl Sources {
    /// Records a warning once, since a file may hold several secrets.
    pub(super) fn warn(&self, warning: Warning) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// Returns the source with this definition that a configuration before had, so that its secret, and the state of
    /// its key, stay. Otherwise returns `made`.
    pub(super) fn keep(&self, definition: &[&str], made: SecretSource) -> SecretSource {
        let made = KnownSource::new(definition, made);
        let mut before = self.before.borrow_mut();
        let known = before.iter().position(|known| known.agrees_with(&made));
        let kept = known.map_or(made, |index| before.swap_remove(index));
        self.found.borrow_mut().push(kept.clone());
        kept.source
    }

    pub(super) fn warn_of_file(&self, path: &Path, at: &ValuePath) {
        if is_readable_by_others(path) {
            self.warn(Warning::new(at.clone(), Risk::ReadableByOthers { file: path.to_owned() }));
        }
    }
}

/// A token that callers must send. Redacted in every format, wiped when it is dropped, not serializable.
#[derive(Clone)]
pub struct Token(SecretString);

// === impl Reference ===

impl Reference {
    /// Reads a setting.
    pub(super) fn of(text: String) -> Self {
        match text.split_once(':') {
            Some(("env", name)) => Self::Variable(name.trim().to_owned()),
            Some(("file", path)) => Self::File(PathBuf::from(path.trim())),
            _ => Self::Literal(SecretString::from(text)),
        }
    }

    /// Returns the secret of a key.
    pub(super) fn key(&self, sources: &Sources, at: &ValuePath) -> Result<Secret, ConfigError> {
        let text = self.text(sources, at).map_err(|problem| problem.at(at.clone()))?;
        Secret::new(text).map_err(|why| Problem::Secret(why).at(at.clone()))
    }

    /// Returns the URL of a webhook, which may be a credential.
    pub(super) fn url(&self, sources: &Sources, at: &ValuePath) -> Result<Uri, ConfigError> {
        let text = match self {
            Self::Literal(text) => Ok(text.expose_secret().to_owned()),
            reference => reference.text(sources, at),
        };
        let url = text.and_then(|text| {
            let url: Uri = text.trim().parse().map_err(|_| Problem::Webhook)?;
            let is_http = matches!(url.scheme_str(), Some("http" | "https"));
            if is_http && url.host().is_some() { Ok(url) } else { Err(Problem::Webhook) }
        });
        url.map_err(|problem| problem.at(at.clone()))
    }

    /// Returns a secret that signs messages.
    pub(super) fn signing(&self, sources: &Sources, at: &ValuePath) -> Result<SecretString, ConfigError> {
        self.text(sources, at).map(SecretString::from).map_err(|problem| problem.at(at.clone()))
    }

    /// Returns the token. It consists of the characters that a key may have.
    pub(super) fn token(&self, sources: &Sources, at: &ValuePath) -> Result<Token, ConfigError> {
        let token = self.text(sources, at).map(SecretString::from).and_then(|token| {
            Secret::new(token.expose_secret()).map_err(Problem::Secret)?;
            let is_short = token.expose_secret().chars().count() < SHORTEST_TOKEN;
            if is_short { Err(Problem::ShortToken { least: SHORTEST_TOKEN }) } else { Ok(Token(token)) }
        });
        token.map_err(|problem| problem.at(at.clone()))
    }

    /// Returns the text as it is, to compare it with another one. `None` if it can't be read.
    pub(super) fn raw(&self, sources: &Sources) -> Option<String> {
        match self {
            Self::Variable(name) => sources.vars.get(name).cloned(),
            Self::File(path) => {
                let content = read_file::read(&sources.directory.join(path)).ok()?;
                String::from_utf8(content).ok()
            }
            Self::Literal(text) => Some(text.expose_secret().to_owned()),
        }
    }

    /// Returns a text that need not be secret.
    pub(super) fn plain(&self, sources: &Sources, at: &ValuePath) -> Result<String, ConfigError> {
        match self {
            Self::Literal(text) => Ok(text.expose_secret().to_owned()),
            reference => reference.text(sources, at).map_err(|problem| problem.at(at.clone())),
        }
    }

    fn text(&self, sources: &Sources, at: &ValuePath) -> Result<String, Problem> {
        match self {
            Self::Variable(name) => variable(name, &sources.vars),
            Self::File(path) => {
                let path = sources.directory.join(path);
                let mut text = file(&path)?;
                sources.read.borrow_mut().push(ReadFile::new(&path, &text));
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
                sources.warn_of_file(&path, at);
                Ok(text)
            }
            Self::Literal(text) => {
                let text = text.expose_secret();
                if looks_like_reference(text) {
                    return Err(Problem::Reference);
                }
                if let Some(file) = &sources.file {
                    sources.warn_of_file(file, &ValuePath::default());
                }
                Ok(text.to_owned())
            }
        }
    }

    /// Returns the name of the key if the file does not set one: that of the variable or the file.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Variable(name) => Some(name),
            Self::File(path) => path.file_name()?.to_str(),
            Self::Literal(_) => None,
        }
    }
}

fn variable(name: &str, vars: &BTreeMap<String, String>) -> Result<String, Problem> {
    // A key that was put here by mistake must not appear in an error.
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Problem::VariableName);
    }
    let missing = || Problem::MissingVariable { name: redacted_variable(name).into_owned() };
    let value = vars.get(name).ok_or_else(missing)?;
    Ok(value.trim().to_owned())
}

/// Reads a secret from a file, with line ends at its end. Stops at files that are longer than a secret may
/// be.
fn file(path: &Path) -> Result<String, Problem> {
    const LINE_ENDS: u64 = 16;
    let unreadable = |source| Problem::SecretFile { path: PathBuf::from(&*redacted_path(path)), source };
    let mut text = String::new();
    let limit = Secret::MAX as u64 + LINE_ENDS;
    let read = read_file::open(path).and_then(|file| file.take(limit + 1).read_to_string(&mut text));
    match read {
        Ok(read) if read as u64 > limit => return Err(Problem::Secret(InvalidSecret::TooLong)),
        read => read.map_err(unreadable)?,
    };
    Ok(text)
}

/// Returns whether a text seems to be a reference: `ENV:X`, `$X`, `${X}`, `{{ x }}`, `<key>`, `vault://x`.
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
        String::deserialize(deserializer).map(Self::of)
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
    /// Returns whether `shown` is the token. Takes the same time for every text of the token's length; the
    /// length may become known.
    pub fn matches(&self, shown: &[u8]) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(shown).into()
    }

    /// Returns whether a text shows the token.
    pub(super) fn is_in(&self, text: &str) -> bool {
        text.contains(self.0.expose_secret())
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.matches(other.0.expose_secret().as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}
