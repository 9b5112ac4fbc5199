//! Secrets from commands.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tower::BoxError;
use tower_service::Service;

use crate::key::source::credential::Credential;
use crate::key::source::document;
use crate::scrub::secret::Secret;

/// A service that runs a command and reads the secret from its output, plain or JSON: `gcloud auth print-access-token`,
/// `az account get-access-token`, a Kubernetes credential plugin, `op read`, `vault kv get`.
///
/// The output has the forms of a [`SecretFile`](crate::key::SecretFile). The command gets no input, its errors go nowhere,
/// and it is killed if the source does not wait for it any more (30 s). No shell is involved.
///
/// A plain output has no expiry: set [`check_every`](crate::key::SecretSource::check_every) to less than its lifetime.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::ApiKey;
/// use tower_key_rotation::key::{SecretCommand, SecretSource};
///
/// let command = SecretCommand::new("gcloud").args(["auth", "print-access-token"]);
/// let source = SecretSource::new("vertex", command).check_every(Duration::from_secs(30 * 60));
/// let key = ApiKey::from(source);
/// # let _ = key;
/// ```
#[derive(Clone, Debug)]
pub struct SecretCommand {
    program: OsString,
    args: Vec<OsString>,
    directory: Option<Arc<Path>>,
}

/// The error of a command that failed. It contains nothing of its output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the command {program} failed: {status}")]
pub struct CommandFailed {
    program: String,
    status: ExitStatus,
}

/// Maximum size of the output: 64 KiB.
const LARGEST: u64 = 4 * Secret::MAX as u64;

#[derive(Debug, thiserror::Error)]
#[error("the output of the command is too large for a secret")]
struct TooLarge;

#[derive(Debug, thiserror::Error)]
#[error("the command {program} can't be started")]
struct NotStarted {
    program: String,
    source: std::io::Error,
}

// === impl SecretCommand ===

impl SecretCommand {
    /// Creates a service that runs this program.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self { program: program.as_ref().to_owned(), args: Vec::new(), directory: None }
    }

    /// Adds arguments. Default: none.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets the working directory. Default: that of the process.
    #[must_use]
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().into());
        self
    }

    async fn run(self) -> Result<Credential, BoxError> {
        let program = Path::new(&self.program).file_name().unwrap_or(&self.program);
        let program = program.to_string_lossy().into_owned();
        let mut command = Command::new(&self.program);
        command.args(&self.args).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let started = command.spawn();
        let mut child = started.map_err(|source| NotStarted { program: program.clone(), source })?;
        let mut text = String::new();
        if let Some(output) = child.stdout.take() {
            output.take(LARGEST + 1).read_to_string(&mut text).await?;
        }
        if text.len() as u64 > LARGEST {
            return Err(TooLarge.into());
        }
        let status = child.wait().await?;
        if !status.success() {
            return Err(CommandFailed { program, status }.into());
        }
        Ok(document::read(&text)?)
    }
}

impl Service<()> for SecretCommand {
    type Response = Credential;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Credential, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.clone().run().boxed()
    }
}
