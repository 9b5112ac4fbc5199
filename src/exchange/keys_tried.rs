//! The keys that a request has tried.

use crate::key::KeyId;

/// The keys of one pool that a request has tried without success.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeysTried {
    all: Vec<KeyId>,
    refused: Vec<KeyId>,
}

// === impl KeysTried ===

impl KeysTried {
    pub(crate) fn add(&mut self, key: KeyId) {
        self.all.push(key);
    }

    /// Adds keys that refused the request, or that would refuse it.
    pub(crate) fn refuse(&mut self, keys: impl Iterator<Item = KeyId>) {
        let before = self.refused.len();
        self.refused.extend(keys);
        self.all.extend_from_slice(&self.refused[before..]);
    }

    /// Returns all keys. The next attempt goes to another key, if there is one.
    pub(crate) fn all(&self) -> &[KeyId] {
        &self.all
    }

    /// Returns the keys that are neither used again nor waited for, although other requests may be able to use
    /// them.
    pub(crate) fn refused(&self) -> &[KeyId] {
        &self.refused
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
