//! Keeping a request at one provider.

use std::sync::Arc;

/// A request extension: only this link of the chain may serve the request.
///
/// Keys are rotated as usual, and no other provider is asked. The request keeps the model it names unless the
/// route has a name for that very model: [`Route::any_model`](crate::fallback::Route::any_model) does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProviderPin(Arc<str>);

impl ProviderPin {
    /// Pins to the link with this name.
    pub fn to(link: impl Into<Arc<str>>) -> Self {
        Self(link.into())
    }

    /// The name of the link.
    pub(super) const fn link(&self) -> &Arc<str> {
        &self.0
    }

    pub(super) fn is_to(&self, link: &str) -> bool {
        *self.0 == *link
    }
}
