//! Pinning a request to one provider.

use std::sync::Arc;

/// A request extension by which only one link of the chain may serve the request.
///
/// Keys are rotated as usual, and no other provider is called. The request keeps the model it names unless the
/// route has a name for that very model: [`Route::any_model`](crate::fallback::Route::any_model) does not apply. If
/// the chain has no link of this name, the request fails with
/// [`UnknownLink`](crate::fallback::UnknownLink).
///
/// ```
/// use tower_key_rotation::ProviderPin;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(ProviderPin::to("anthropic"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProviderPin(Arc<str>);

impl ProviderPin {
    /// Creates a pin to the link with this name.
    pub fn to(link: impl Into<Arc<str>>) -> Self {
        Self(link.into())
    }

    /// Returns the name of the link.
    pub(super) const fn link(&self) -> &Arc<str> {
        &self.0
    }

    pub(super) fn is_to(&self, link: &str) -> bool {
        *self.0 == *link
    }
}
