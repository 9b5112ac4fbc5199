//! The error of opening a state file.

use std::io;
use std::path::PathBuf;

/// An error of [`FileStore::open`](crate::store::FileStore::open).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileStoreError {
    /// Another process, or another store of this one, has the file.
    #[error("another process uses the state file {}: give each process a file of its own", path.display())]
    InUse {
        /// The state file.
        path: PathBuf,
    },
    /// The lock beside the file can't be taken.
    #[error("can't lock the state file {}: make its directory, and let the process write in it", path.display())]
    Lock {
        /// The state file.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// The file can't be read, or not be moved aside.
    #[error("can't read the state file {}", path.display())]
    Read {
        /// The state file.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
}
