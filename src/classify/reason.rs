//! The reason and the scope of a fault.

use serde::{Deserialize, Serialize};

use crate::text::words;

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

words!(Reason {
    Blocked => "blocked",
    Forbidden => "forbidden",
    InvalidKey => "invalid_key",
    Overloaded => "overloaded",
    QuotaExceeded => "quota_exceeded",
    RateLimited => "rate_limited",
    ServerError => "server_error",
    Timeout => "timeout",
    Truncated => "truncated",
    Unreachable => "unreachable",
});

// === impl Scope ===

impl Scope {
    /// Returns whether the scope is the provider, so that another key of it cannot help.
    pub const fn is_provider(self) -> bool {
        matches!(self, Self::Provider | Self::ProviderModel)
    }
}

words!(Scope {
    Account => "account",
    AccountModel => "account_model",
    Key => "key",
    KeyModel => "key_model",
    None => "none",
    Provider => "provider",
    ProviderModel => "provider_model",
});
