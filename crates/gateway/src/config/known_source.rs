//! Sources of secrets, and their definitions in a file.

use std::fmt;

use sha2::{Digest, Sha256};
use tower_key_rotation::key::SecretSource;

/// A source of secrets, and a digest of its definition.
#[derive(Clone)]
pub(super) struct KnownSource {
    pub(super) source: SecretSource,
    definition: [u8; 32],
}

// === impl KnownSource ===

impl KnownSource {
    pub(super) fn new(definition: &[&str], source: SecretSource) -> Self {
        let mut digest = Sha256::new();
        for part in definition {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Self { source, definition: digest.finalize().into() }
    }

    /// Returns whether both have the same definition.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        self.definition == other.definition
    }
}

impl fmt::Debug for KnownSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownSource").field("source", &self.source).finish_non_exhaustive()
    }
}
