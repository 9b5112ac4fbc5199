//! Replacing a file as a whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs4::{FileExt, TryLockError};

use crate::store::file::error::FileStoreError;

/// The lock of a file. The operating system frees it when the process ends, however it ends.
pub(super) struct Lock(File);

/// Takes the lock of a file.
pub(super) fn lock(path: &Path) -> Result<Lock, FileStoreError> {
    let failed = |source| FileStoreError::Lock { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = private(&mut options).open(beside(path, "lock")).map_err(failed)?;
    match FileExt::try_lock(&file) {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(FileStoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

// === impl Lock ===

impl Drop for Lock {
    /// Unlocks explicitly: a child process that is being started at this moment has a copy of the open file.
    fn drop(&mut self) {
        let _freed_at_the_end = FileExt::unlock(&self.0);
    }
}

/// Replaces the content of a file, and waits for the disk. A crash at any moment leaves the old content or
/// the new one.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = beside(path, "new");
    // A file that is left of a crash may have other permissions.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let written = write(&new, content).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // Frees the room on a full disk. The error before is the one to report.
        let _removed = fs::remove_file(&new);
    }
    written?;
    sync_directory(path)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = private(options.write(true).create_new(true)).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes the rename itself durable.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Other systems do not open directories.
#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Returns the path of a file beside another one: its name with one more extension.
pub(super) fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}
