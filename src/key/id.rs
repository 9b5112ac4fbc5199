//! Names that may be shown.

use std::fmt;
use std::sync::Arc;

use crate::scrub::names_secret;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<T: Into<Arc<str>>> From<T> for $name {
            fn from(name: T) -> Self {
                Self(name.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }
    };
}

name! {
    /// The name of a key: an operator's label, or a short keyed fingerprint of its secret.
    KeyId
}

name! {
    /// The name of what a provider counts limits for: an organisation, a project, a workspace.
    AccountId
}

/// A name that can't be shown. Says why, and never what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// It has a control character, or one that changes how text is read.
    #[error("it has a control or an invisible character")]
    Character,
    /// It contains a key, or what tells the key from others.
    #[error("it shows the key, or a part of it")]
    ShowsSecret,
}

/// Whether a name, of a key with this secret, may be in logs.
pub(crate) fn check_name(name: &str, secret: &str) -> Result<(), InvalidName> {
    if has_unprintable(name) {
        return Err(InvalidName::Character);
    }
    if names_secret(name, secret) { Err(InvalidName::ShowsSecret) } else { Ok(()) }
}

/// Whether a text has characters that a terminal obeys or does not show.
pub(crate) fn has_unprintable(text: &str) -> bool {
    let changes_reading = |character: char| matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    text.chars().any(|character| character.is_control() || changes_reading(character))
}
