//! Environment variables that were found, and the kinds of values that they held.

use std::fmt;

use crate::key::{InvalidSecret, KeyId};

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
    /// No value, or only blanks and separators.
    Empty,
    /// A text that cannot be a key. The other items of a list are used.
    Invalid(InvalidSecret),
    /// A value, or one of its keys, with something around it. It is not used.
    Faulty(EnvFault),
    /// A key that looks like a placeholder, such as `your-api-key`. It is used, unless it has blanks.
    Placeholder,
    /// A key that begins like those of another preset, whose name is given. It is used.
    Foreign(&'static str),
    /// The variable is not searched, but is named much like the given one, which is.
    Unread(String),
    /// The name of a model.
    Model,
}

/// Something around the keys in the value of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvFault {
    /// Quotation marks, which a shell would have removed.
    #[error("has quotation marks in it: remove them")]
    Quotes,
    /// A byte order mark at the beginning, from a file that an editor wrote.
    #[error("begins with a byte order mark (U+FEFF): save its file as UTF-8 without one")]
    ByteOrderMark,
    /// The name of a header, or a word like `Bearer`, before a key.
    #[error("has a part of a header in it, such as Bearer: give the key alone")]
    Header,
    /// The name of a variable before the key, as in `KEY=…`.
    #[error("has the name of a variable in it: give what follows the equals sign")]
    Assignment,
    /// A comment, which is not removed from a value.
    #[error("has a comment in it: remove what follows the #")]
    Comment,
    /// A JSON array or object.
    #[error("is JSON: separate the keys by commas")]
    Json,
    /// Bytes that are not valid UTF-8.
    #[error("is not valid UTF-8: look for a wrong encoding or a binary file")]
    NotUnicode,
}

// === impl EnvVar ===

impl EnvVar {
    /// Returns whether the finding explains why a key is not used, or may be refused by the provider.
    pub fn is_warning(&self) -> bool {
        !matches!(self.found, EnvValue::Keys(_) | EnvValue::Duplicate(_) | EnvValue::Model)
    }
}

impl fmt::Display for EnvVar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, found } = self;
        match found {
            EnvValue::Keys(1) => write!(f, "{variable}: 1 key"),
            EnvValue::Keys(count) => write!(f, "{variable}: {count} keys"),
            EnvValue::Duplicate(first) => write!(f, "{variable}: the same key as {first}"),
            EnvValue::Empty => write!(f, "{variable}: empty"),
            EnvValue::Invalid(error) => write!(f, "{variable}: {error}"),
            EnvValue::Faulty(fault) => write!(f, "{variable} {fault}"),
            EnvValue::Placeholder => write!(f, "{variable}: looks like a placeholder"),
            EnvValue::Foreign(owner) => write!(f, "{variable}: looks like a key of {owner}"),
            EnvValue::Unread(name) => write!(f, "{variable} is set but not read: rename it to {name}"),
            EnvValue::Model => write!(f, "{variable}: a model"),
        }
    }
}
