//! What belongs together.

use sha2::{Digest, Sha256};

/// A request extension: requests of one session go to one key, for as long as it is usable.
///
/// A provider caches what it has read for a key or its account, and some know an earlier answer
/// (`previous_response_id`) by the key that it went to: a conversation that changes its key with every turn is
/// read anew every turn. With a session it stays at its *home*. While the home is cooling, or has far more
/// to do than its peers, the session's next key serves instead, always the same one; afterwards the session
/// returns.
///
/// The home is told by the session's and the keys' names alone, so that every process with the same keys
/// agrees on it, and a key that is added or removed moves no session that need not move.
///
/// Name it after whatever is cached together: a conversation, a user, a long common prompt. The name itself
/// is not kept, only 64 bits of its SHA-256: what `Hash` of the standard library makes of it differs by process
/// or platform.
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
    /// The session with this name.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        Self(digest(name.as_ref()))
    }

    pub(super) const fn digest(self) -> u64 {
        self.0
    }
}

/// 64 bits that are the same in every process.
pub(super) fn digest(name: &[u8]) -> u64 {
    let digest = Sha256::digest(name);
    digest.iter().take(8).fold(0, |bits, byte| (bits << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_the_same_in_every_process() {
        // The first 8 bytes of the SHA-256 of "abc", as FIPS 180-2 gives it.
        assert_eq!(Session::new("abc"), Session(0xba78_16bf_8f01_cfea));
        assert_eq!(Session::new("abc"), Session::new(b"abc"));
    }
}
