//! Secrets in files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::spawn_blocking;
use tower::BoxError;
use tower_service::Service;

use crate::key::source::credential::Credential;
use crate::key::source::document;
use crate::scrub::secret::Secret;

/// A service that reads a secret from a file, plain or JSON, as a Kubernetes secret volume or a Vault agent writes it.
///
/// The path is resolved each time, so that a file or a symbolic link may be replaced. Line ends and blanks around the
/// secret are removed. A file with more than 64 KiB is an error, and so is a pipe or a device, which may have no end.
///
/// In JSON the secret is the member `access_token`, `accessToken`, `token`, `secret`, `api_key` or `key`, at the top or in
/// `status`, `credential`, `data` or `auth`; the expiry is `expires_in` in seconds, or `expires_at`, `expires_on` or
/// `expirationTimestamp` as a Unix time or by RFC 3339.
///
/// ```
/// use tower_key_rotation::ApiKey;
/// use tower_key_rotation::key::SecretSource;
///
/// let key = ApiKey::from(SecretSource::file("/var/run/secrets/openai/api-key")).id("openai");
/// # let _ = key;
/// ```
#[derive(Clone, Debug)]
pub struct SecretFile {
    path: Arc<Path>,
}

/// Maximum size of a file: 64 KiB.
const LARGEST: u64 = 4 * Secret::MAX as u64;

// === impl SecretFile ===

impl SecretFile {
    /// Creates a service that reads this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into().into() }
    }

    /// Returns the name of the file.
    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or("file")
    }
}

impl Service<()> for SecretFile {
    type Response = Credential;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Credential, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let path = Arc::clone(&self.path);
        async move {
            let text = spawn_blocking(move || read(&path)).await??;
            Ok(document::read(&text)?)
        }
        .boxed()
    }
}

fn read(path: &Path) -> io::Result<String> {
    let kind = std::fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a pipe or a device is no file of a secret"));
    }
    let mut text = String::new();
    let read = File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if read as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too large for a secret"));
    }
    Ok(text)
}
