//! Why a pool can't be built.

use std::fmt;

use crate::key::{InvalidName, InvalidSecret, KeyId};

/// A pool that can't be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two keys have one name.
    #[error("two keys are named {0}: give each a name of its own")]
    DuplicateId(KeyId),
    /// Two keys are one.
    #[error("the keys {first} and {second} have the same secret: remove one")]
    DuplicateSecret {
        /// The name of the one.
        first: KeyId,
        /// The name of the other.
        second: KeyId,
    },
    /// A name that can't be shown.
    #[error("the {what} of key number {number} can't be shown: {source}; give it another one")]
    InvalidName {
        /// The number of the key in the order they were added, from one.
        number: usize,
        /// Which of its names: `id` or `account`.
        what: &'static str,
        /// Why it can't be shown.
        source: InvalidName,
    },
    /// A key that no header can carry.
    #[error("key {key}: {source}")]
    InvalidSecret {
        /// The name of the key.
        key: KeyId,
        /// What is wrong with it.
        source: InvalidSecret,
    },
    /// Nothing to rotate.
    #[error("no key for {provider}{}", LookedAt(.looked_at))]
    NoKeys {
        /// The name of the provider.
        provider: String,
        /// The variables that were looked for, `*` for a number; empty if none was.
        looked_at: Vec<String>,
    },
}

struct LookedAt<'a>(&'a [String]);

impl fmt::Display for LookedAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(": add one with `key`, or `keys_from_env`");
        }
        write!(f, ": set one of {}", self.0.join(", "))
    }
}
