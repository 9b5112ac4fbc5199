//! The errors of changing the keys of a pool.

use crate::key::KeyId;
use crate::pool::{BuildError, UnknownKey};

/// An error of changing the keys of a pool at run time. The pool is unchanged. Names keys by their ids, never
/// by their secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// No key of the pool has this id.
    #[error(transparent)]
    UnknownKey(#[from] UnknownKey),
    /// The key is the only one of the pool.
    #[error("{0} is the only key: add another one first, or disable it")]
    LastKey(KeyId),
    /// The keys can't be those of a pool: two have the same secret or id, or a name or a secret is invalid.
    #[error(transparent)]
    Keys(#[from] BuildError),
}
