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

mod env;
mod id;

use std::fmt;
use std::num::NonZeroU32;

use crate::limits::Quota;
use crate::scrub::shows;
use crate::text::words;

pub use self::env::{EnvFault, EnvKeys, EnvValue, EnvVar};
use self::id::check_name;
pub use self::id::{AccountId, InvalidName, KeyId};
pub use crate::scrub::secret::{InvalidSecret, Secret};

/// One API key: its secret, and how a [`KeyPool`](crate::KeyPool) uses it.
///
/// ```
/// use tower_key_rotation::ApiKey;
/// use tower_key_rotation::key::KeyId;
///
/// let key = ApiKey::new("sk-team-a-secret")?.id("team-a").account("org-1").backup();
/// assert_eq!(key.declared_id().map(KeyId::as_str), Some("team-a"));
/// # Ok::<(), tower_key_rotation::key::InvalidSecret>(())
/// ```
#[derive(Clone)]
pub struct ApiKey {
    secret: Secret,
    id: Option<KeyId>,
    account: Option<AccountId>,
    tier: Tier,
    weight: NonZeroU32,
    quotas: Vec<Quota>,
}

/// The order of preference between keys of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tier {
    /// Used while at least one primary key is usable.
    #[default]
    Primary,
    /// Used only while no primary key is usable.
    Backup,
}

words!(Tier {
    Primary => "primary",
    Backup => "backup",
});

// === impl ApiKey ===

impl ApiKey {
    /// Creates a primary key of weight 1. Its name is a fingerprint of its secret, and it counts as its own
    /// account.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidSecret`] if the text cannot be a key.
    pub fn new(secret: impl Into<String>) -> Result<Self, InvalidSecret> {
        Ok(Self::from(Secret::new(secret)?))
    }

    /// Creates the key of a server that needs none, such as one on the own machine. It is named `not-needed`,
    /// and `no-key-is-needed` is sent in its place, which such a server ignores.
    ///
    /// A pool without keys has this one, if its provider [needs none](crate::Provider::needs_key).
    pub fn not_needed() -> Self {
        Self::from(Secret::not_needed()).id("not-needed")
    }

    /// Sets the name of the key. Default: a fingerprint of the secret.
    ///
    /// A name that shows a part of the secret or has a control character makes
    /// [`KeyPoolBuilder::build`](crate::pool::KeyPoolBuilder::build) fail.
    #[must_use]
    pub fn id(mut self, id: impl Into<KeyId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the account whose limits this key shares: an organisation, a project, a workspace. Default: the
    /// key counts as its own account.
    ///
    /// The name of the account is shown in logs, like the [`id`](Self::id). The same restrictions apply to
    /// it.
    #[must_use]
    pub fn account(mut self, account: impl Into<AccountId>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Sets the tier of the key. Default: [`Tier::Primary`].
    #[must_use]
    pub const fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Sets the tier to [`Tier::Backup`]: the key is used only while no primary key is usable.
    #[must_use]
    pub const fn backup(self) -> Self {
        self.tier(Tier::Backup)
    }

    /// Sets how often this key is chosen, relative to a key of weight 1. Default: 1.
    ///
    /// Every [`Selection`](crate::pool::Selection) except [`InOrder`](crate::pool::Selection::InOrder)
    /// respects it, and so do [`Session`](crate::Session)s.
    #[must_use]
    pub const fn weight(mut self, weight: NonZeroU32) -> Self {
        self.weight = weight;
        self
    }

    /// Adds a quota of this key alone, beside those of its account. May be called repeatedly; all quotas
    /// apply.
    ///
    /// Most limits belong to accounts: use [`KeyPoolBuilder::quota`](crate::pool::KeyPoolBuilder::quota) for
    /// those.
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push(quota);
        self
    }

    /// Returns the name that was set with [`id`](Self::id). `None` means that a pool names the key after the
    /// fingerprint of its secret.
    pub const fn declared_id(&self) -> Option<&KeyId> {
        self.id.as_ref()
    }

    /// Returns whether the text contains the secret of this key, as it is or in the way a URL or base64 shows it.
    pub fn appears_in(&self, text: &str) -> bool {
        shows(text, self.secret.expose())
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Checks whether the names of the key and its account may be shown. The error says which of them may
    /// not, and why.
    pub(crate) fn check_names(&self) -> Result<(), (&'static str, InvalidName)> {
        let check = |what, name: Option<&str>| {
            let checked = name.map_or(Ok(()), |name| check_name(name, self.secret.expose()));
            checked.map_err(|why| (what, why))
        };
        check("id", self.id.as_ref().map(KeyId::as_str))?;
        check("account", self.account.as_ref().map(AccountId::as_str))
    }

    /// Returns the key with another secret.
    pub(crate) fn with_secret(self, secret: Secret) -> Self {
        Self { secret, ..self }
    }

    /// Returns whether both keys have the same settings. Their secrets and ids may differ.
    pub(crate) fn has_settings_of(&self, other: &Self) -> bool {
        let Self { secret: _, id: _, account, tier, weight, quotas } = self;
        (account, tier, weight, quotas) == (&other.account, &other.tier, &other.weight, &other.quotas)
    }

    pub(crate) const fn declared_account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    pub(crate) const fn declared_tier(&self) -> Tier {
        self.tier
    }

    pub(crate) const fn declared_weight(&self) -> NonZeroU32 {
        self.weight
    }

    pub(crate) fn declared_quotas(&self) -> &[Quota] {
        &self.quotas
    }
}

impl From<Secret> for ApiKey {
    fn from(secret: Secret) -> Self {
        Self {
            secret,
            id: None,
            account: None,
            tier: Tier::Primary,
            weight: NonZeroU32::MIN,
            quotas: Vec::new(),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret, id, account, tier, weight, quotas } = self;
        let names: (&dyn fmt::Debug, &dyn fmt::Debug) = match self.check_names() {
            Ok(()) => (id, account),
            Err(_) => (&"withheld", &"withheld"),
        };
        f.debug_struct("ApiKey")
            .field("secret", secret)
            .field("id", names.0)
            .field("account", names.1)
            .field("tier", tier)
            .field("weight", weight)
            .field("quotas", quotas)
            .finish()
    }
}
