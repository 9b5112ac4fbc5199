//! The owners of state, under names that every process and every run gives them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::key::{self, AccountId, ApiKey, KeyId};

/// A digest of the secret of a key, and of its base URL if it has one: half of an HMAC-SHA-256. It is equal in every
/// process, and the secret can't be derived from it. A key with another secret has another digest. The id of a key
/// stands for a secret that changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct KeyDigest([u8; 16]);

/// A key or an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Owner {
    /// A key.
    Key(KeyDigest),
    /// The account in which a key without a declared account lives.
    Home(KeyDigest),
    /// A declared account.
    Account(AccountId),
}

/// An error: a text names no key or account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `key:`, `home:` or `account:` and a name")]
pub(crate) struct UnknownOwner;

// === impl KeyDigest ===

impl KeyDigest {
    pub(in crate::pool) fn of(key: &ApiKey, id: &KeyId, provider: &str) -> Self {
        let mut half = [0; 16];
        half.iter_mut().zip(key::digest(key, id, provider)).for_each(|(half, byte)| *half = byte);
        Self(half)
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyDigest {
    type Err = UnknownOwner;

    fn from_str(text: &str) -> Result<Self, UnknownOwner> {
        let is_digest = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_digest);
        number.map(|number| Self(number.to_be_bytes())).ok_or(UnknownOwner)
    }
}

impl TryFrom<String> for KeyDigest {
    type Error = UnknownOwner;

    fn try_from(text: String) -> Result<Self, UnknownOwner> {
        text.parse()
    }
}

impl From<KeyDigest> for String {
    fn from(digest: KeyDigest) -> Self {
        digest.to_string()
    }
}

// === impl Owner ===

impl TryFrom<String> for Owner {
    type Error = UnknownOwner;

    fn try_from(text: String) -> Result<Self, UnknownOwner> {
        match text.split_once(':').ok_or(UnknownOwner)? {
            ("key", digest) => Ok(Self::Key(digest.parse()?)),
            ("home", digest) => Ok(Self::Home(digest.parse()?)),
            ("account", name) => Ok(Self::Account(name.into())),
            _ => Err(UnknownOwner),
        }
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::Key(digest) => format!("key:{digest}"),
            Owner::Home(digest) => format!("home:{digest}"),
            Owner::Account(name) => format!("account:{name}"),
        }
    }
}
