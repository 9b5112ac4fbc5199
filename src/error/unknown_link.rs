//! The error of a pin that names no link.

use std::sync::Arc;

/// A request is [pinned](crate::fallback::ProviderPin) to a link that the chain does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request is pinned to {pinned:?}, which is no link of the chain: it has {}", links.join(", "))]
pub struct UnknownLink {
    pub(crate) pinned: Arc<str>,
    pub(crate) links: Vec<Arc<str>>,
}

// === impl UnknownLink ===

impl UnknownLink {
    /// The name to which the request is pinned.
    pub fn pinned(&self) -> &str {
        &self.pinned
    }

    /// The names of the chain's links.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|link| &**link)
    }
}
