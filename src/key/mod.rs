//! API keys: secrets, their names, and their discovery in environment variables.
//!
//! A key is one secret of one provider, with a name that may be shown and an account for which the provider
//! counts limits. The secret and the name are different types, and the secret cannot be derived from the
//! name. Logs, metrics, events and snapshots contain only the name.
//!
//! ```
//! use tower_key_rotation::key::{ApiKey, KeyId};
//!
//! let key = ApiKey::new("sk-team-a-secret")?.id("team-a").account("org-1");
//! assert_eq!(key.declared_id().map(KeyId::as_str), Some("team-a"));
//! assert!(!format!("{key:?}").contains("secret\""));
//! # Ok::<(), tower_key_rotation::key::InvalidSecret>(())
//! ```

mod api_key;
mod check;
mod chosen;
mod destination;
mod env;
mod id;
mod restriction;
mod sent;
mod source;
mod tier;

pub use self::api_key::ApiKey;
pub(crate) use self::api_key::settings::{are_alike, check_names, digest, for_provider, identity};
pub use self::check::{CheckResult, KeyCheck};
pub use self::chosen::ChosenKey;
pub use self::env::{EnvFault, EnvKeys, EnvValue, EnvVar};
pub use self::id::{AccountId, InvalidName, KeyId};
pub(crate) use self::restriction::Restriction;
pub use self::sent::SentKey;
pub use self::source::{
    ClientCredentials, Credential, NoSecret, SecretFile, SecretSource, SecretUnavailable, TokenRefused,
};
#[cfg(feature = "secret-command")]
pub use self::source::{CommandFailed, SecretCommand};
#[cfg(feature = "service-account")]
pub use self::source::{InvalidServiceAccount, ServiceAccount};
pub(crate) use self::source::{Issued, SourceListener};
pub use self::tier::Tier;
pub use crate::scrub::secret::{InvalidSecret, Secret};
