//! Files that a configuration was read from.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Maximum size of a file (16 MiB).
const LARGEST: u64 = 16 * 1024 * 1024;

/// A file that was read, and the digest of its content.
#[derive(Clone, Debug)]
pub(super) struct ReadFile {
    pub(super) path: PathBuf,
    digest: [u8; 32],
}

// === impl ReadFile ===

impl ReadFile {
    pub(super) fn new(path: &Path, content: &str) -> Self {
        Self { path: path.to_owned(), digest: Sha256::digest(content).into() }
    }

    /// Returns whether the file has other content now, or can't be read.
    pub(super) fn has_changed(&self) -> bool {
        read(&self.path).map_or(true, |content| self.digest != <[u8; 32]>::from(Sha256::digest(content)))
    }
}

/// Opens a file to read it. A pipe and a device are errors, because their content may never end, or never come.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let kind = std::fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe or a device, and no file"));
    }
    File::open(path)
}

/// Returns the content of a file.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
    }
    Ok(content)
}

/// Returns whether a path leads to one of these files, by whatever name.
pub(super) fn is_any_of<'a>(path: &Path, mut files: impl Iterator<Item = &'a Path>) -> bool {
    let Ok(place) = path.canonicalize() else { return false };
    files.any(|file| file.canonicalize().is_ok_and(|file| file == place))
}

/// Returns a digest of the content of files. A file that can't be read counts as such.
pub(super) fn digest<'a>(files: impl Iterator<Item = &'a Path>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for file in files {
        match read(file).map(Sha256::digest) {
            Ok(content) => digest.update(content),
            Err(_) => digest.update(b"unreadable"),
        }
    }
    digest.finalize().into()
}
