//! Files that a configuration was read from.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// A file that was read, and the digest of its content.
#[derive(Clone, Debug)]
pub(super) struct ReadFile {
    pub(super) path: PathBuf,
    digest: [u8; 32],
}

// === impl ReadFile ===

impl ReadFile {
    pub(super) fn new(path: &Path, content: &str) -> Self {
        Self { path: path.to_owned(), digest: Sha256::digest(content).into() }
    }

    /// Returns whether the file has other content now, or can't be read.
    pub(super) fn has_changed(&self) -> bool {
        std::fs::read(&self.path)
            .map_or(true, |content| self.digest != <[u8; 32]>::from(Sha256::digest(content)))
    }
}
