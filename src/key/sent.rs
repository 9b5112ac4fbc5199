//! The key that opened a connection, for what a provider sends on it.

use std::fmt;

use crate::scrub;
use crate::scrub::secret::Secret;

/// A response extension of a switch of protocols (status 101): the key of its request, to be removed from what the provider
/// sends afterwards. The layers don't read that.
#[derive(Clone)]
pub struct SentKey(Secret);

// === impl SentKey ===

impl SentKey {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(secret.clone())
    }

    /// Returns the text with the key overwritten by `*`, in its whole length. `None` if the text does not show the key.
    pub fn overwrite(&self, text: &[u8]) -> Option<Vec<u8>> {
        scrub::overwrite(text, self.0.expose())
    }
}

impl fmt::Debug for SentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SentKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_overwritten_and_never_printed() {
        let key = SentKey::new(&Secret::new("sk-one-0123456789").unwrap());
        let text = key.overwrite(b"invalid key sk-one-0123456789!").unwrap();
        assert_eq!(text, b"invalid key *****************!");
        assert_eq!(key.overwrite(b"quota"), None);
        assert!(!format!("{key:?}").contains("0123"));
    }
}
