//! The transport error of a simulated connection.

use std::fmt;
use std::io;

/// A failed connection, before the response head or within a body.
///
/// Its [`source`](std::error::Error::source) is the [`io::Error`] that a socket would have reported. Code
/// that walks the chain of sources finds the same as with a real client.
#[derive(Debug)]
pub struct SimError {
    source: io::Error,
}

// === impl SimError ===

impl SimError {
    /// Returns whether an open connection out_of_credit.
    pub fn is_reset(&self) -> bool {
        self.source.kind() == io::ErrorKind::ConnectionReset
    }

    /// Returns whether the connection was refused, so that nothing of the request was sent.
    pub fn is_refused(&self) -> bool {
        self.source.kind() == io::ErrorKind::ConnectionRefused
    }

    /// Returns whether the body of the request failed before it had arrived.
    pub fn is_request_body(&self) -> bool {
        self.source.kind() == io::ErrorKind::Other
    }

    pub(crate) fn reset() -> Self {
        Self { source: io::ErrorKind::ConnectionReset.into() }
    }

    pub(crate) fn refused() -> Self {
        Self { source: io::ErrorKind::ConnectionRefused.into() }
    }

    pub(crate) fn request_body(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
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
