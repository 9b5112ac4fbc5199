//! A secret as its source gives it, and the error of a source.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::scrub::secret::Secret;

/// A secret and the time at which it expires: the response of the service behind a
/// [`SecretSource`](crate::key::SecretSource).
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::key::{Credential, Secret};
///
/// let hour = Duration::from_secs(3_600);
/// let credential = Credential::new(Secret::new("ya29.token")?).expires_in(hour);
/// # let _ = credential;
/// # Ok::<(), tower_key_rotation::key::InvalidSecret>(())
/// ```
#[derive(Clone, Debug)]
pub struct Credential {
    pub(crate) secret: Secret,
    pub(crate) expires_at: Option<Timestamp>,
}

/// The error of a source that has no valid secret. It is cheap to clone, and contains no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no secret from {name}: {source}")]
pub struct SecretUnavailable {
    pub(super) name: Arc<str>,
    pub(super) source: Arc<dyn Error + Send + Sync>,
    pub(super) retry_in: Duration,
}

// === impl Credential ===

impl Credential {
    /// Creates a credential that does not expire.
    pub const fn new(secret: Secret) -> Self {
        Self { secret, expires_at: None }
    }

    /// Sets the time at which the secret expires. Default: it does not expire.
    #[must_use]
    pub const fn expires_at(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Sets the time from now at which the secret expires. Default: it does not expire.
    #[must_use]
    pub fn expires_in(self, lifetime: Duration) -> Self {
        self.expires_at(Timestamp::now().saturating_add(lifetime))
    }
}

// === impl SecretUnavailable ===

impl SecretUnavailable {
    /// Returns the name of the source.
    pub fn source_name(&self) -> &str {
        &self.name
    }

    /// Returns the time, from the failure, until the source is asked again.
    pub const fn retry_in(&self) -> Duration {
        self.retry_in
    }
}
