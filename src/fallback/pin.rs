//! Keeping a request at one provider.

use std::sync::Arc;

/// A request extension: only this link of the chain may serve the request.
///
/// Keys are rotated as ever; no other provider is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pin(Arc<str>);

impl Pin {
    /// Pins to the link with this name.
    pub fn to(link: impl Into<Arc<str>>) -> Self {
        Self(link.into())
    }

    pub(super) fn is_to(&self, link: &str) -> bool {
        *self.0 == *link
    }
}
