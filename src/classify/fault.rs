//! Faults: failures that are not the caller's.

use std::fmt;
use std::time::Duration;

use crate::classify::{Reason, Scope, Why};

/// A failure that is not the caller's fault: its reason, its scope, and how long it lasts.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::classify::{Fault, Reason, Scope};
///
/// let fault = Fault::new(Reason::RateLimited, Scope::Account).with_retry_after(Duration::from_secs(20));
/// assert_eq!(fault.retry_after(), Some(Duration::from_secs(20)));
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
    /// Whether the base URL of the key lacks the model or the object, which others may have.
    not_here: bool,
    /// Whether the wait is the operator's, which no limit on waits applies to.
    fixed_wait: bool,
    why: Option<Why>,
}

// === impl Fault ===

impl Fault {
    /// Creates a fault with no known duration.
    ///
    /// [`Reason::Timeout`] and [`Reason::Truncated`] set [`may_have_run`](Self::may_have_run), which
    /// [`with_may_have_run`](Self::with_may_have_run) overrides: the request was sent, and no complete response
    /// says whether it was executed.
    pub const fn new(reason: Reason, scope: Scope) -> Self {
        let may_have_run = matches!(reason, Reason::Timeout | Reason::Truncated);
        Self {
            reason,
            scope,
            retry_after: None,
            may_have_run,
            account_reason: false,
            one_resource: false,
            not_here: false,
            fixed_wait: false,
            why: None,
        }
    }

    /// Sets the wait after which the provider says that the fault is over. Zero counts as none. Default:
    /// none.
    #[must_use]
    pub fn with_retry_after(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.fixed_wait = false;
        self.retry_after = wait.into().filter(|wait| !wait.is_zero());
        self
    }

    /// Sets whether the request may have been executed, and billed, although no complete response came.
    ///
    /// Such a request is sent again only where the policy or an `Idempotency-Key` header allows it. Use
    /// `false` for a provider that does not bill interrupted responses. Default: `true` for
    /// [`Reason::Timeout`] and [`Reason::Truncated`], `false` otherwise.
    #[must_use]
    pub const fn with_may_have_run(mut self, may_have_run: bool) -> Self {
        self.may_have_run = may_have_run;
        self
    }

    /// Sets the wait that the operator has decided.
    pub(crate) const fn with_fixed_wait(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self.fixed_wait = true;
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
    pub const fn with_account_reason(mut self, account_reason: bool) -> Self {
        self.account_reason = account_reason;
        self
    }

    /// Sets whether the fault concerns a single resource of the provider: a file, a cache, an endpoint for
    /// which the key has no permission. Default: `false`.
    ///
    /// Another key may serve the request. No key is put into a cooldown for such a fault.
    #[must_use]
    pub const fn with_one_resource(mut self, one_resource: bool) -> Self {
        self.one_resource = one_resource;
        self
    }

    /// Sets the reason for the verdict, which logs show. Default: none.
    #[must_use]
    pub const fn with_why(mut self, why: Why) -> Self {
        self.why = Some(why);
        self
    }

    /// Returns the same fault with another reason.
    pub(crate) const fn with_reason(mut self, reason: Reason) -> Self {
        self.reason = reason;
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
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the wait that the operator has decided, if any. No limit on waits applies to it.
    pub(crate) fn fixed_wait(&self) -> Option<Duration> {
        self.retry_after.filter(|_| self.fixed_wait)
    }

    /// Returns the fault of a base URL that lacks the model or object of a request. Other base URLs of the pool may
    /// have it.
    pub(crate) const fn not_here() -> Self {
        let fault = Self::new(Reason::Forbidden, Scope::KeyModel);
        Self { not_here: true, ..fault }
    }

    /// Returns whether the base URL of the key lacks the model or object.
    pub(crate) const fn is_not_here(&self) -> bool {
        self.not_here
    }

    /// Returns whether a rule of the operator decided. Such a fault is certain: the request can't be to blame.
    pub(crate) const fn is_by_own_rule(&self) -> bool {
        matches!(self.why, Some(Why::OwnRule(_)))
    }

    /// Returns whether the request may have been executed; see [`with_may_have_run`](Self::with_may_have_run).
    pub const fn may_have_run(&self) -> bool {
        self.may_have_run
    }

    /// Returns whether the reason lies in the account; see
    /// [`with_account_reason`](Self::with_account_reason).
    pub const fn account_reason(&self) -> bool {
        self.account_reason
    }

    /// Returns whether the fault concerns one resource only; see
    /// [`with_one_resource`](Self::with_one_resource).
    pub const fn one_resource(&self) -> bool {
        self.one_resource
    }

    /// Returns the reason for the verdict: the step of the classification that decided, and the evidence.
    /// `None` for a fault that a custom classifier made without one, and for one without a response.
    pub const fn why(&self) -> Option<Why> {
        self.why
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reason,
            scope,
            retry_after,
            may_have_run,
            account_reason,
            one_resource,
            not_here,
            fixed_wait,
            why,
        } = self;
        f.debug_struct("Fault")
            .field("reason", reason)
            .field("scope", scope)
            .field("retry_after", retry_after)
            .field("may_have_run", may_have_run)
            .field("account_reason", account_reason)
            .field("one_resource", one_resource)
            .field("not_here", not_here)
            .field("fixed_wait", fixed_wait)
            .field("why", why)
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
