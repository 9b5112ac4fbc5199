//! The error of a request that is pinned to an unknown link.

use std::sync::Arc;

/// The error of a request that is [pinned](crate::fallback::ProviderPin) to a link that the chain does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request is pinned to {pinned:?}, which is no link of the chain: it has {}", links.join(", "))]
pub struct UnknownLink {
    pub(crate) pinned: Arc<str>,
    pub(crate) links: Vec<Arc<str>>,
}

// === impl UnknownLink ===

impl UnknownLink {
    /// Returns the name to which the request is pinned.
    pub fn pinned(&self) -> &str {
        &self.pinned
    }

    /// Iterates over the names of the chain's links.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|link| &**link)
    }
}
