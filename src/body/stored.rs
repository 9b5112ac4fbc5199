//! The part of a request body that is kept outside of memory.

use std::pin::Pin;

use bytes::Bytes;
use tower::BoxError;

/// The future of [`StoredBody::read`].
pub type ReadStored = Pin<Box<dyn Future<Output = Result<Bytes, BoxError>> + Send>>;

/// A part of a request body that is kept outside of memory, such as in a file. It is read once for each attempt, and
/// dropped with the request.
///
/// See [`ReplayBody::stored`](crate::body::ReplayBody::stored).
pub trait StoredBody: Send + Sync + 'static {
    /// Reads up to `len` bytes from position `at`. Several attempts may read at once. No bytes, or more than `len`,
    /// count as an error.
    fn read(&self, at: u64, len: usize) -> ReadStored;
}
