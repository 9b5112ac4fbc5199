//! The errors of both layers, and the HTTP responses that report them.
//!
//! No error contains a secret. Keys are named by their ids. An error of the client whose text or debug output
//! contains the key that was sent is replaced by an error that states the replacement.

mod all_keys;
mod all_providers;
mod attempt;
mod failure;
mod last_response;
mod own_error;
mod provider;
mod response;
mod skip_reason;
mod stop_reason;
mod summary;
mod unknown_link;

use tower::BoxError;

pub use self::all_keys::AllKeysFailed;
pub use self::all_providers::AllProvidersFailed;
pub use self::attempt::Attempt;
pub(crate) use self::last_response::LastResponse;
pub use self::own_error::OwnError;
pub use self::provider::ProviderFailed;
pub use self::skip_reason::SkipReason;
pub use self::stop_reason::StopReason;
pub(crate) use self::summary::Summary;
pub use self::unknown_link::UnknownLink;
use crate::pool::ApplyKeyError;

/// The error of the layers of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No key of the provider could serve the request.
    #[error(transparent)]
    AllKeysFailed(Box<AllKeysFailed>),
    /// No provider of a chain could serve the request.
    #[error(transparent)]
    AllProvidersFailed(Box<AllProvidersFailed>),
    /// The body of the request failed while it was sent. This blames no key.
    #[error("the request body failed")]
    Body(#[source] BoxError),
    /// The key could not be applied to the request. Nothing was sent.
    #[error(transparent)]
    ApplyKey(#[from] ApplyKeyError),
    /// The wrapped service failed to become ready, or a layer inside shed the request. Nothing was sent.
    #[error("the client is not ready")]
    Service(#[source] BoxError),
    /// The request is [pinned](crate::ProviderPin) to a link that the chain does not have.
    #[error(transparent)]
    UnknownLink(#[from] UnknownLink),
}

// === impl Error ===

impl From<AllProvidersFailed> for Error {
    fn from(failed: AllProvidersFailed) -> Self {
        Self::AllProvidersFailed(Box::new(failed))
    }
}

impl From<AllKeysFailed> for Error {
    fn from(failed: AllKeysFailed) -> Self {
        Self::AllKeysFailed(Box::new(failed))
    }
}
