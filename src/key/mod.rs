//! What a key is and where keys come from.
//!
//! A key is one secret of one provider, with a name that may be shown and an account that the provider
//! counts its limits for. The secret and the name are different types, and nothing leads from the name
//! back to the secret: what is logged, counted or published is the name.
//!
//! ```
//! use tower_key_rotation::key::ApiKey;
//!
//! let key = ApiKey::new("sk-team-a-secret")?.id("team-a").account("org-1");
//! assert_eq!(key.label(), Some("team-a"));
//! assert!(!format!("{key:?}").contains("secret\""));
//! # Ok::<(), tower_key_rotation::key::InvalidSecret>(())
//! ```

mod env;
mod id;
mod secret;

use std::fmt;
use std::num::NonZeroU32;

use crate::limits::Quota;

pub use self::env::{Discovery, Finding, Found};
#[cfg(feature = "config")]
pub(crate) use self::id::has_unprintable;
pub use self::id::{AccountId, InvalidName, KeyId};
pub use self::secret::{InvalidSecret, Secret};

/// One key: its secret, and how the pool is to use it.
#[derive(Clone)]
pub struct ApiKey {
    secret: Secret,
    label: Option<KeyId>,
    account: Option<AccountId>,
    tier: Tier,
    weight: NonZeroU32,
    quotas: Vec<Quota>,
}

/// Whether a key is used in the first place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tier {
    /// Used as long as one of its kind is usable.
    #[default]
    Primary,
    /// Used only while no primary key is usable.
    Backup,
}

// === impl ApiKey ===

impl ApiKey {
    /// A primary key of weight one, named by the fingerprint of its secret, an account of its own.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] if the text can't be a key.
    pub fn new(secret: impl Into<String>) -> Result<Self, InvalidSecret> {
        Ok(Self::from(Secret::new(secret)?))
    }

    /// The name to show for this key, in place of a fingerprint. One that shows a part of the secret, or has a
    /// control character, makes [`KeyPoolBuilder::build`](crate::pool::KeyPoolBuilder::build) fail.
    #[must_use]
    pub fn id(mut self, label: impl Into<KeyId>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The account whose limits this key shares: organisation, project, workspace. It is shown as the
    /// [`id`](Self::id) is.
    #[must_use]
    pub fn account(mut self, account: impl Into<AccountId>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Whether the key is used in the first place. Default: [`Tier::Primary`].
    #[must_use]
    pub const fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// Used only while no primary key is usable.
    #[must_use]
    pub const fn backup(self) -> Self {
        self.tier(Tier::Backup)
    }

    /// How many times as often as a key of weight one this key is chosen. Default: 1.
    ///
    /// Heeded by every [`Selection`](crate::pool::Selection) but
    /// [`InOrder`](crate::pool::Selection::InOrder), and by [`Session`](crate::Session)s.
    #[must_use]
    pub const fn weight(mut self, weight: NonZeroU32) -> Self {
        self.weight = weight;
        self
    }

    /// A limit of this key alone, beside those of its account; may be given several times. See
    /// [`KeyPoolBuilder::quota`](crate::pool::KeyPoolBuilder::quota) for limits of accounts, which are the
    /// usual ones.
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push(quota);
        self
    }

    /// The operator's name for the key, if one was given.
    pub fn label(&self) -> Option<&str> {
        self.label.as_ref().map(KeyId::as_str)
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Whether the key's names may be shown; else which of them may not, and why.
    pub(crate) fn check_names(&self) -> Result<(), (&'static str, InvalidName)> {
        let check = |what, name: Option<&str>| {
            let checked = name.map_or(Ok(()), |name| id::check_name(name, self.secret.expose()));
            checked.map_err(|why| (what, why))
        };
        check("id", self.label())?;
        check("account", self.account.as_ref().map(AccountId::as_str))
    }

    pub(crate) const fn declared_id(&self) -> Option<&KeyId> {
        self.label.as_ref()
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
            label: None,
            account: None,
            tier: Tier::Primary,
            weight: NonZeroU32::MIN,
            quotas: Vec::new(),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret, label, account, tier, weight, quotas } = self;
        let names: (&dyn fmt::Debug, &dyn fmt::Debug) = match self.check_names() {
            Ok(()) => (label, account),
            Err(_) => (&"withheld", &"withheld"),
        };
        f.debug_struct("ApiKey")
            .field("secret", secret)
            .field("label", names.0)
            .field("account", names.1)
            .field("tier", tier)
            .field("weight", weight)
            .field("quotas", quotas)
            .finish()
    }
}
