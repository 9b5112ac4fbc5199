//! The error of building a pool.

use std::fmt;

use crate::key::{EnvVar, InvalidName, InvalidSecret, KeyId};
use crate::pool::state::document::OtherProvider;

/// An error from [`KeyPoolBuilder::build`](crate::pool::KeyPoolBuilder::build). Names keys by their ids, never by
/// their secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two keys have the same id.
    #[error("two keys are named {0}: give each a name of its own")]
    DuplicateId(KeyId),
    /// Two keys have the same secret.
    #[error("the keys {first} and {second} have the same secret: remove one")]
    DuplicateSecret {
        /// The id of the first key.
        first: KeyId,
        /// The id of the second key.
        second: KeyId,
        /// The numbers of the two keys in the order in which the keys were added, from one.
        numbers: [usize; 2],
    },
    /// An id or account name can't be shown in logs.
    #[error("the {what} of key number {number} can't be shown: {source}; give it another one")]
    InvalidName {
        /// The number of the key in the order in which the keys were added, from one.
        number: usize,
        /// The name at fault: `id` or `account`.
        what: &'static str,
        /// The reason why it can't be shown.
        source: InvalidName,
    },
    /// A pattern of endpoints is not that of a path.
    #[error("key {0}: a pattern of endpoints begins with neither `/` nor `*`, or is not that of a path")]
    InvalidEndpoint(KeyId),
    /// The base URL of a key contains its secret, and would be shown in logs.
    #[error("key {0}: its base URL contains its secret: remove it there")]
    SecretInBaseUrl(KeyId),
    /// A secret can't be sent in a header.
    #[error("key {key}: {source}")]
    InvalidSecret {
        /// The id of the key.
        key: KeyId,
        /// The reason why it can't be sent.
        source: InvalidSecret,
    },
    /// A state to restore belongs to the pool of another provider.
    #[error(transparent)]
    State(#[from] OtherProvider),
    /// No key was added.
    #[error("no key for {provider}: {}", Remedy(.findings, .searched))]
    NoKeys {
        /// The name of the provider.
        provider: String,
        /// The environment variables that were searched, with `*` for a number. Empty if none was searched.
        searched: Vec<String>,
        /// The variables that were found, and the reason why none of them has a key.
        findings: Vec<EnvVar>,
    },
}

/// Displays the remedy for missing keys: to mend the variables that were found, or else to set one.
struct Remedy<'a>(&'a [EnvVar], &'a [String]);

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(findings, searched) = self;
        if searched.is_empty() {
            return f.write_str("add one with `key`, or `keys_from_env`");
        }
        let mut warnings = findings.iter().filter(|finding| finding.is_warning()).peekable();
        if warnings.peek().is_none() {
            return write!(f, "set one of {}", searched.join(", "));
        }
        for (index, finding) in warnings.enumerate() {
            write!(f, "{}{finding}", if index == 0 { "" } else { "; " })?;
        }
        write!(f, ". Searched: {}", searched.join(", "))
    }
}
