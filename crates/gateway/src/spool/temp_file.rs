//! An unnamed temporary file with the body of a request.
//!
//! The file has no name from its beginning, so nothing of it is left on disk after the process has ended, however it
//! ends. It lies in the directory for temporary files: `TMPDIR`, or else `/tmp`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tower::BoxError;
use tower_key_rotation::body::{ReadStored, StoredBody};

use crate::spool::budget::Room;

/// A temporary file. It is read and written on threads for blocking work.
pub(super) struct TempFile(Arc<Shared>);

struct Shared {
    /// `None` while it is dropped.
    file: Mutex<Option<File>>,
    room: Mutex<Option<Room>>,
}

/// Error of a body that can't be written to disk, or read from there.
#[derive(Debug, thiserror::Error)]
#[error("a large request can't be kept in a temporary file")]
pub(crate) struct StorageFailed(#[source] io::Error);

// === impl TempFile ===

impl TempFile {
    pub(super) async fn create(room: Room) -> Result<Self, StorageFailed> {
        let file = blocking(create).await?;
        Ok(Self(Arc::new(Shared { file: Mutex::new(Some(file)), room: Mutex::new(Some(room)) })))
    }

    /// Writes data to the end, where `len` bytes were written before. Fails with [`NoRoom`], or with [`StorageFailed`].
    pub(super) async fn write(&self, data: Bytes, len: u64) -> Result<(), BoxError> {
        if let Some(room) = &mut *lock(&self.0.room) {
            room.grow(len + data.len() as u64)?;
        }
        let shared = Arc::clone(&self.0);
        Ok(blocking(move || shared.with_file(|file| file.write_all(&data))).await?)
    }
}

impl StoredBody for TempFile {
    fn read(&self, at: u64, len: usize) -> ReadStored {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { Ok(blocking(move || shared.read(at, len)).await?) })
    }
}

// === impl Shared ===

impl Shared {
    fn read(&self, at: u64, len: usize) -> io::Result<Bytes> {
        self.with_file(|file| {
            let mut data = BytesMut::zeroed(len);
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut data)?;
            Ok(data.freeze())
        })
    }

    fn with_file<T>(&self, work: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        lock(&self.file).as_mut().map_or_else(|| Err(io::ErrorKind::NotFound.into()), work)
    }
}

impl Drop for Shared {
    /// Closes the file on a thread for blocking work: that frees its blocks, which takes time for large files.
    fn drop(&mut self) {
        let (file, room) = (lock(&self.file).take(), lock(&self.room).take());
        let close = move || {
            drop(file);
            drop(room);
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(close)),
            Err(_none) => close(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl StorageFailed ===

impl StorageFailed {
    /// Creates the error, and logs it for the operator.
    fn new(error: io::Error) -> Self {
        let directory = std::env::temp_dir();
        tracing::error!(
            target: "gateway",
            %error,
            directory = %directory.display(),
            "a large request can't be kept in a temporary file: free space there, set TMPDIR to another directory, or \
             raise `max_body_memory` in [server]"
        );
        Self(error)
    }
}

/// Creates a file that only this process can open.
fn create() -> io::Result<File> {
    let file = tempfile::tempfile()?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StorageFailed> {
    let done = spawn_blocking(work).await.map_err(io::Error::other);
    done.and_then(|done| done).map_err(StorageFailed::new)
}
