//! The reason and the scope of a fault.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Reason for which an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The provider refuses the client's address, whichever key it uses: unsupported country, banned address.
    Blocked,
    /// The key is valid but not allowed to do this: no access to the model, a missing permission, a limit of
    /// zero.
    Forbidden,
    /// The key is unknown, revoked or expired, or its account is closed.
    InvalidKey,
    /// The provider has no capacity.
    Overloaded,
    /// An allowance or a balance is used up. It returns at a reset or after a payment, not soon by itself.
    QuotaExceeded,
    /// Too many requests or tokens in a short time. The limit clears soon by itself.
    RateLimited,
    /// The provider failed, or a gateway in front of it.
    ServerError,
    /// No response arrived in time.
    Timeout,
    /// The stream ended without its terminator, or an event was malformed.
    Truncated,
    /// No connection could be made, or it broke before the response.
    Unreachable,
}

/// The part of a provider that a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// Every key of the account, which is the unit that the provider counts limits for.
    Account,
    /// Every key of the account, for one model.
    AccountModel,
    /// One key.
    Key,
    /// One key, for one model.
    KeyModel,
    /// Nothing: no key, account or provider is put into a cooldown.
    None,
    /// The whole provider, whichever key is used.
    Provider,
    /// The provider for one model, whichever key is used.
    ProviderModel,
}

/// An error from parsing a [`Reason`]: the text is the name of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reason: write one of {}", Reason::ALL.map(Reason::as_str).join(", "))]
pub struct UnknownReason(());

/// An error from parsing a [`Scope`]: the text is the name of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a scope: write one of {}", Scope::ALL.map(Scope::as_str).join(", "))]
pub struct UnknownScope(());

// === impl Reason ===

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 10] = [
        Self::Blocked,
        Self::Forbidden,
        Self::InvalidKey,
        Self::Overloaded,
        Self::QuotaExceeded,
        Self::RateLimited,
        Self::ServerError,
        Self::Timeout,
        Self::Truncated,
        Self::Unreachable,
    ];

    /// Returns the name used in logs, errors and snapshots.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Forbidden => "forbidden",
            Self::InvalidKey => "invalid_key",
            Self::Overloaded => "overloaded",
            Self::QuotaExceeded => "quota_exceeded",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Unreachable => "unreachable",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(UnknownReason(()))
    }
}

// === impl Scope ===

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 7] = [
        Self::Account,
        Self::AccountModel,
        Self::Key,
        Self::KeyModel,
        Self::None,
        Self::Provider,
        Self::ProviderModel,
    ];

    /// Returns the name used in logs, errors and snapshots.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::AccountModel => "account_model",
            Self::Key => "key",
            Self::KeyModel => "key_model",
            Self::None => "none",
            Self::Provider => "provider",
            Self::ProviderModel => "provider_model",
        }
    }

    /// Returns whether the scope is the provider, so that another key of it cannot help.
    pub const fn is_provider(self) -> bool {
        matches!(self, Self::Provider | Self::ProviderModel)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(UnknownScope(()))
    }
}
