//! Secrets that change: access tokens, and keys that another program rotates.

mod client_credentials;
#[cfg(feature = "secret-command")]
mod command;
mod credential;
mod document;
mod file;
mod handle;
mod issued;
mod listener;
mod schedule;
#[cfg(feature = "service-account")]
mod service_account;
mod shared;
mod token;

pub use self::client_credentials::ClientCredentials;
#[cfg(feature = "secret-command")]
pub use self::command::{CommandFailed, SecretCommand};
pub use self::credential::{Credential, SecretUnavailable};
pub use self::document::NoSecret;
pub use self::file::SecretFile;
pub use self::handle::SecretSource;
pub(crate) use self::issued::Issued;
pub(crate) use self::listener::SourceListener;
#[cfg(feature = "service-account")]
pub use self::service_account::{InvalidServiceAccount, ServiceAccount};
pub use self::token::TokenRefused;
