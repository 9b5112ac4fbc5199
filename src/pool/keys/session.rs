//! Sessions: requests that belong together.

use sha2::{Digest, Sha256};

/// A request extension that keeps the requests of one session on one key, as long as that key is usable.
///
/// Providers cache prompts by key or account, and some know an earlier response (`previous_response_id`) only
/// under the key that it was made with. A conversation that changes its key with every turn is read again
/// with every turn. With a session, it stays with one key, its *home*. While the home is in cooldown, or has
/// far more requests in flight than its peers, the session's next key serves instead, which is always the
/// same one. Afterwards the session returns.
///
/// The home follows from the session's name and the ids of the keys alone, so every process with the same
/// keys agrees on it. A key that is added or removed moves no session that need not move.
///
/// Name the session after the thing that is cached together: a conversation, a user, or a long common prompt.
/// The name itself is not kept, only 64 bits of its SHA-256, because the standard library's `Hash` differs
/// between processes and platforms.
///
/// ```
/// use tower_key_rotation::Session;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Session::new("conversation-17"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Session(u64);

// === impl Session ===

impl Session {
    /// Creates the session with this name. Equal names make equal sessions, in every process.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        Self(digest(name.as_ref()))
    }

    pub(in crate::pool) const fn digest(self) -> u64 {
        self.0
    }
}

/// Returns 64 bits of the SHA-256 of a name. They are the same in every process.
pub(in crate::pool) fn digest(name: &[u8]) -> u64 {
    let digest = Sha256::digest(name);
    digest.iter().take(8).fold(0, |bits, byte| (bits << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_the_same_in_every_process() {
        // The first 8 bytes of the SHA-256 of "abc", as given in FIPS 180-2.
        assert_eq!(Session::new("abc"), Session(0xba78_16bf_8f01_cfea));
        assert_eq!(Session::new("abc"), Session::new(b"abc"));
    }
}
