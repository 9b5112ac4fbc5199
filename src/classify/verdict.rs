//! What a classifier can say.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happened in one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The provider served the request.
    Success,
    /// Something failed that is not the caller's fault.
    Fault(Fault),
    /// The caller's own fault: delivered untouched, nobody blamed, nothing retried.
    Rejected(Rejection),
    /// Not decided yet: show me one more event of the stream.
    Inspect,
}

/// Why a request was refused for what it says, whichever key sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejection {
    /// A content policy refused it.
    ContentFilter,
    /// It is longer than the model's context window.
    ContextLength,
    /// It is malformed, too many bytes, or asks for something that does not exist.
    Invalid,
    /// It asks for more than the limit of the account itself, so that no wait can help.
    TooLarge,
}

/// Something that failed and is not the caller's fault: why, whom it concerns, for how long.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    reason: Reason,
    scope: Scope,
    retry_after: Option<Duration>,
    may_have_run: bool,
    account_reason: bool,
    one_resource: bool,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The address is refused, whichever key it uses: unsupported country, banned address.
    Blocked,
    /// The key is good but not for this: model access, missing permission, a limit of zero.
    Forbidden,
    /// The key is unknown, revoked, expired, or its account is closed.
    InvalidKey,
    /// The provider has no capacity.
    Overloaded,
    /// An allowance or balance is used up; it comes back at a reset or a payment, not by itself soon.
    QuotaExceeded,
    /// Too much in a short time; it clears by itself soon.
    RateLimited,
    /// The provider, or a gateway before it, failed.
    ServerError,
    /// No answer in time.
    Timeout,
    /// The stream ended without its terminator, or an event was malformed.
    Truncated,
    /// No connection, or none long enough for an answer.
    Unreachable,
}

/// Whom a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// Every key of the account: what the provider counts limits for.
    Account,
    /// Every key of the account, for one model.
    AccountModel,
    /// One key.
    Key,
    /// One key, for one model.
    KeyModel,
    /// Nobody: nothing is remembered.
    None,
    /// The provider, whichever key is used.
    Provider,
    /// The provider, for one model.
    ProviderModel,
}

// === impl Verdict ===

impl Verdict {
    /// The fault, if it is one.
    pub const fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            Self::Success | Self::Rejected(_) | Self::Inspect => None,
        }
    }

    /// Whom it concerns. Of rejections only a request larger than a limit concerns anybody: the limit is
    /// an account's, and one with a larger limit could have served it.
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Fault(fault) => fault.scope,
            Self::Rejected(Rejection::TooLarge) => Scope::AccountModel,
            Self::Success | Self::Rejected(_) | Self::Inspect => Scope::None,
        }
    }

    /// The verdict in one word, as in logs: `success`, `request_error`, `inspect`, or the reason of
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
    /// A fault without a hint how long it lasts.
    ///
    /// A [timeout](Reason::Timeout) and a [truncated](Reason::Truncated) response count as perhaps executed: the
    /// request was sent, and no complete response says what became of it. [`may_have_run`](Self::may_have_run)
    /// overrides that.
    pub const fn new(reason: Reason, scope: Scope) -> Self {
        let may_have_run = matches!(reason, Reason::Timeout | Reason::Truncated);
        Self { reason, scope, retry_after: None, may_have_run, account_reason: false, one_resource: false }
    }

    /// The provider says it is over after `wait`. Zero is no hint.
    #[must_use]
    pub fn retry_after(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.retry_after = wait.into().filter(|wait| !wait.is_zero());
        self
    }

    /// Sets whether the request may have been executed, and billed, although no complete response came. Such a
    /// request is sent again only where the policy or an `Idempotency-Key` allows it. A provider that does not
    /// bill what it cut may say `false`.
    #[must_use]
    pub const fn may_have_run(mut self, may_have_run: bool) -> Self {
        self.may_have_run = may_have_run;
        self
    }

    /// The same fault of another scope.
    pub(crate) const fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets whether the refusal names a reason that lies in the account or the key itself: no money, a used-up
    /// quota, a plan, a revoked key. Default: `false`, as for a bare status.
    ///
    /// A request that is refused for such a reason goes on to every account that it has not tried. Without one,
    /// two keys in good standing that are refused alike show that the request is to blame.
    #[must_use]
    pub const fn account_reason(mut self, account_reason: bool) -> Self {
        self.account_reason = account_reason;
        self
    }

    /// Sets whether the refusal concerns a single resource of the provider: a file, a cache, an endpoint that
    /// the key has no scope for. Default: `false`.
    ///
    /// Another key may serve the request. No key is put into a cooldown for it.
    #[must_use]
    pub const fn one_resource(mut self, one_resource: bool) -> Self {
        self.one_resource = one_resource;
        self
    }

    /// Why it failed.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Whom it concerns.
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// How long the provider says it lasts, unclamped.
    pub const fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the request may have been executed; see [`may_have_run`](Self::may_have_run).
    pub const fn is_ambiguous(&self) -> bool {
        self.may_have_run
    }

    /// Whether the reason lies in the account; see [`account_reason`](Self::account_reason).
    pub const fn names_account(&self) -> bool {
        self.account_reason
    }

    /// Whether it concerns one resource only; see [`one_resource`](Self::one_resource).
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
    /// The name in logs, errors and snapshots.
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
    /// The name in logs, errors and snapshots.
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

    /// Whether another key of the provider can't help.
    pub const fn is_provider(self) -> bool {
        matches!(self, Self::Provider | Self::ProviderModel)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
