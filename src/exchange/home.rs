//! The key that holds what a request names.

use std::sync::Arc;

use crate::key::KeyId;

/// A request extension with the key that holds what the request names: a file, a batch, an earlier response.
///
/// Such objects belong to the account of the key that made them, and other accounts respond that they do not exist. A
/// request with this extension is served by that key or by another key of its account, and by no other. It does not
/// wait for a key. In a chain it is sent to the link with the provider's name only. A pool that does not have the key
/// ignores the extension.
///
/// Without the extension, the other accounts are tried when one responds that it does not have the object.
///
/// ```
/// use tower_key_rotation::{Home, Served};
///
/// # fn example(response: &http::Response<()>) -> Option<()> {
/// // The response that returned the id of a file names the key that has the file.
/// let served = response.extensions().get::<Served>()?;
/// let mut request = http::Request::get("https://api.openai.com/v1/files/file-abc123").body(()).ok()?;
/// request.extensions_mut().insert(Home::new(served.provider(), served.key_id().clone()));
/// # Some(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Home {
    provider: Arc<str>,
    key: KeyId,
}

impl Home {
    /// Creates the home at this key of a provider, or of the link with the provider's name.
    pub fn new(provider: impl Into<Arc<str>>, key: KeyId) -> Self {
        Self { provider: provider.into(), key }
    }

    /// Returns the name of the provider.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns the id of the key.
    pub const fn key(&self) -> &KeyId {
        &self.key
    }
}
