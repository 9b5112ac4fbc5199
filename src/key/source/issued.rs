//! A secret that a source has fetched.

use std::sync::OnceLock;

use http::HeaderValue;

use crate::clock::Timestamp;
use crate::key::source::credential::Credential;
use crate::provider::AuthScheme;
use crate::scrub::secret::{InvalidSecret, Secret};

/// A secret that a source has fetched, and the header that carries it.
pub(crate) struct Issued {
    credential: Credential,
    /// Number of the secret, counted from one. A secret that is fetched again unchanged keeps its number.
    pub(crate) number: u64,
    /// The header for the scheme that was asked for first, which is the only one in almost all programs.
    header: OnceLock<(AuthScheme, HeaderValue)>,
}

// === impl Issued ===

impl Issued {
    pub(super) const fn new(credential: Credential, number: u64) -> Self {
        Self { credential, number, header: OnceLock::new() }
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.credential.secret
    }

    pub(super) const fn expires_at(&self) -> Option<Timestamp> {
        self.credential.expires_at
    }

    /// Returns whether the secret has not expired.
    pub(super) fn is_valid(&self, now: impl FnOnce() -> Timestamp) -> bool {
        self.expires_at().is_none_or(|at| at > now())
    }

    /// Returns the header that carries the secret.
    pub(crate) fn header(&self, scheme: &AuthScheme) -> Result<HeaderValue, InvalidSecret> {
        match self.header.get() {
            Some((known, header)) if known == scheme => Ok(header.clone()),
            Some(_) => scheme.header_for(self.secret()),
            None => {
                let header = scheme.header_for(self.secret())?;
                let _ = self.header.set((scheme.clone(), header.clone()));
                Ok(header)
            }
        }
    }
}
