//! What a transport would have reported.

use std::fmt;
use std::io;

/// A connection that failed, before the head or in a body.
///
/// Its [`source`](std::error::Error::source) is the [`io::Error`] that a socket would have given,
/// so that whoever walks the chain finds what it would find under a real client.
#[derive(Debug)]
pub struct SimError {
    source: io::Error,
}

// === impl SimError ===

impl SimError {
    /// Whether an open connection broke.
    pub fn is_reset(&self) -> bool {
        self.source.kind() == io::ErrorKind::ConnectionReset
    }

    /// Whether there was no connection, so that nothing was sent.
    pub fn is_refused(&self) -> bool {
        self.source.kind() == io::ErrorKind::ConnectionRefused
    }

    /// Whether the request body failed on its way here.
    pub fn is_request_body(&self) -> bool {
        self.source.kind() == io::ErrorKind::Other
    }

    pub(super) fn reset() -> Self {
        Self { source: io::ErrorKind::ConnectionReset.into() }
    }

    pub(super) fn refused() -> Self {
        Self { source: io::ErrorKind::ConnectionRefused.into() }
    }

    pub(super) fn request_body(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self { source: io::Error::other(error) }
    }
}

impl fmt::Display for SimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated connection failed")
    }
}

impl std::error::Error for SimError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
