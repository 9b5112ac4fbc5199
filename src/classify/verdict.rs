//! Verdicts: the output of a classifier.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The classified outcome of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The provider served the request.
    Success,
    /// The attempt failed, and the caller is not at fault.
    Fault(Fault),
    /// The request itself is at fault. The response is delivered untouched, no key is blamed, and nothing is
    /// retried.
    Rejected(Rejection),
    /// Not decided yet: the classifier needs the next event of the stream.
    Inspect,
}

/// Reason for which a request was rejected, whichever key sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejection {
    /// A content policy rejected the request.
    ContentFilter,
    /// The request is longer than the model's context window.
    ContextLength,
    /// The request is malformed, has too many bytes, or asks for something that does not exist.
    Invalid,
    /// The request asks for more than the limit of the account itself, so waiting cannot help.
    TooLarge,
}

/// A failure that is not the caller's fault: its reason, its scope, and how long it lasts.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::classify::{Fault, Reason, Scope};
///
/// let fault = Fault::new(Reason::RateLimited, Scope::Account).retry_after(Duration::from_secs(20));
/// assert_eq!(fault.wait(), Some(Duration::from_secs(20)));
/// assert_eq!(fault.to_string(), "rate_limited (account), retry after 20s");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    reason: Reason,
    scope: Scope,
    retry_after: Option<Duration>,
    may_have_run: bool,
    account_reason: bool,
    one_resource: bool,
}

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

// === impl Verdict ===

impl Verdict {
    /// Returns the fault, if the verdict is one.
    pub const fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            Self::Success | Self::Rejected(_) | Self::Inspect => None,
        }
    }

    /// Returns the scope that the verdict concerns.
    ///
    /// [`Rejection::TooLarge`] concerns the account for the model, since an account with a larger limit could
    /// have served the request. All other verdicts that are not faults have [`Scope::None`].
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Fault(fault) => fault.scope,
            Self::Rejected(Rejection::TooLarge) => Scope::AccountModel,
            Self::Success | Self::Rejected(_) | Self::Inspect => Scope::None,
        }
    }

    /// Returns the verdict as one word, as in logs: `success`, `request_error`, `inspect`, or the reason of
    /// the fault.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Fault(fault) => fault.reason.as_str(),
            Self::Rejected(_) => "request_error",
            Self::Inspect => "inspect",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Success | Self::Rejected(_) | Self::Inspect => f.write_str(self.as_str()),
        }
    }
}

impl From<Fault> for Verdict {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

// === impl Fault ===

impl Fault {
    /// Creates a fault with no known duration.
    ///
    /// [`Reason::Timeout`] and [`Reason::Truncated`] set [`may_have_run`](Self::may_have_run), which can be
    /// overridden: the request was sent, and no complete response says what became of it.
    pub const fn new(reason: Reason, scope: Scope) -> Self {
        let may_have_run = matches!(reason, Reason::Timeout | Reason::Truncated);
        Self { reason, scope, retry_after: None, may_have_run, account_reason: false, one_resource: false }
    }

    /// Sets the wait after which the provider says that the fault is over. Zero counts as none. Default:
    /// none.
    #[must_use]
    pub fn retry_after(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.retry_after = wait.into().filter(|wait| !wait.is_zero());
        self
    }

    /// Sets whether the request may have been executed, and billed, although no complete response came.
    ///
    /// Such a request is sent again only where the policy or an `Idempotency-Key` header allows it. Use
    /// `false` for a provider that does not bill interrupted responses. Default: `true` for
    /// [`Reason::Timeout`] and [`Reason::Truncated`], `false` otherwise.
    #[must_use]
    pub const fn may_have_run(mut self, may_have_run: bool) -> Self {
        self.may_have_run = may_have_run;
        self
    }

    /// Returns the same fault with another scope.
    pub(crate) const fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets whether the response names a reason that lies in the account or the key itself: no money, a
    /// used-up quota, a plan, a revoked key. Default: `false`, as for a bare status.
    ///
    /// A request that fails for such a reason is tried with every account that it has not tried. Without such
    /// a reason, the same error from two keys in good standing shows that the request is to blame.
    #[must_use]
    pub const fn account_reason(mut self, account_reason: bool) -> Self {
        self.account_reason = account_reason;
        self
    }

    /// Sets whether the fault concerns a single resource of the provider: a file, a cache, an endpoint for
    /// which the key has no permission. Default: `false`.
    ///
    /// Another key may serve the request. No key is put into a cooldown for such a fault.
    #[must_use]
    pub const fn one_resource(mut self, one_resource: bool) -> Self {
        self.one_resource = one_resource;
        self
    }

    /// Returns the reason of the failure.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the scope that the fault concerns.
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Returns the wait that the provider named; `None` if it named none. Limits on waits are not applied to
    /// it.
    pub const fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns whether the request may have been executed; see [`may_have_run`](Self::may_have_run).
    pub const fn is_ambiguous(&self) -> bool {
        self.may_have_run
    }

    /// Returns whether the reason lies in the account; see [`account_reason`](Self::account_reason).
    pub const fn names_account(&self) -> bool {
        self.account_reason
    }

    /// Returns whether the fault concerns one resource only; see [`one_resource`](Self::one_resource).
    pub const fn is_of_resource(&self) -> bool {
        self.one_resource
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, scope, retry_after, may_have_run, account_reason, one_resource } = self;
        f.debug_struct("Fault")
            .field("reason", reason)
            .field("scope", scope)
            .field("retry_after", retry_after)
            .field("may_have_run", may_have_run)
            .field("account_reason", account_reason)
            .field("one_resource", one_resource)
            .finish()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.scope)?;
        match self.retry_after {
            Some(wait) => write!(f, ", retry after {wait:?}"),
            None => Ok(()),
        }
    }
}

// === impl Reason ===

impl Reason {
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

// === impl Scope ===

impl Scope {
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
