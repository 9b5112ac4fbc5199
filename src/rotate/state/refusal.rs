//! Refusals that may be the fault of a key or of the request.

use http::StatusCode;

use crate::classify::{Fault, Reason, Rejection, Scope, Verdict};
use crate::exchange::inspect::UpstreamResponse;
use crate::pool::{Lease, ProvisionalCooldown};
use crate::rotate::request::Template;

/// A refusal that may be the fault of a key or of the request.
pub(in crate::rotate) struct Refusal {
    pub(in crate::rotate) kind: RefusalKind,
    /// Whether the key served other requests recently.
    pub(in crate::rotate) proven: bool,
    /// The cooldown in doubt. `None`: the refusal is not recorded in the pool.
    pub(in crate::rotate) provisional: Option<ProvisionalCooldown>,
    /// Index of the attempt that it ended.
    pub(in crate::rotate) attempt: usize,
}

/// The kind of a refusal: its status, reason and scope. Refusals of the same kind are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rotate) struct RefusalKind(Option<StatusCode>, Reason, Scope);

/// Returns the fault of an unclear response if the account is at fault, for which another account is tried. `None`
/// for any other verdict.
pub(in crate::rotate) fn unclear_fault(verdict: &Verdict) -> Option<Fault> {
    let is_unclear = *verdict == Verdict::Rejected(Rejection::Unclear);
    is_unclear.then(|| Fault::new(Reason::Forbidden, Scope::AccountModel))
}

/// Returns the verdict of an attempt, with regard to the other base URLs of the pool. A model or an object that does
/// not exist at one of them may exist at another, and one that is overloaded or can't be reached concerns its own keys
/// only. Other faults of a provider may be caused by the request, which must not take a key from other requests.
pub(in crate::rotate) fn among_places(
    verdict: Verdict,
    status: Option<StatusCode>,
    lease: &Lease,
) -> Verdict {
    if !lease.is_one_place_of_several() {
        return verdict;
    }
    match verdict {
        Verdict::Rejected(Rejection::Invalid | Rejection::Unclear)
            if status == Some(StatusCode::NOT_FOUND) =>
        {
            Fault::not_here().into()
        }
        Verdict::Fault(fault) if is_of_place(&fault) => match fault.scope() {
            Scope::ProviderModel => fault.with_scope(Scope::KeyModel).into(),
            _ => fault.with_scope(Scope::Key).into(),
        },
        verdict => verdict,
    }
}

/// Returns whether a fault of the provider is one of the base URL that was called.
fn is_of_place(fault: &Fault) -> bool {
    let is_down = matches!(fault.reason(), Reason::Overloaded | Reason::Unreachable);
    is_down && fault.scope().is_provider() && !fault.may_have_run() && !fault.is_by_own_rule()
}

/// Returns the verdict of a response, with regard to the other accounts of the pool: an object that does not exist for
/// one of them, or a header that one of them may not send, may be fine for another. No key is at fault.
pub(in crate::rotate) fn among_accounts<B>(
    verdict: Verdict,
    request: &Template,
    response: &UpstreamResponse<B>,
) -> Verdict {
    let status = response.head.status;
    let may_be_missing = matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)
        && matches!(verdict, Verdict::Rejected(Rejection::Invalid | Rejection::Unclear));
    if may_be_missing && request.names_missing(status, &response.body.begun()) {
        return Fault::new(Reason::Forbidden, Scope::Key).with_one_resource(true).into();
    }
    match verdict {
        Verdict::Fault(fault)
            if may_be_of_one_thing(&fault, status) && request.brought(&response.body.begun()) =>
        {
            fault.with_reason(Reason::Forbidden).with_scope(Scope::Key).with_one_resource(true).into()
        }
        verdict => verdict,
    }
}

/// Returns whether a refusal may concern something that the request names, and not the key.
fn may_be_of_one_thing(fault: &Fault, status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        && matches!(fault.reason(), Reason::InvalidKey | Reason::Forbidden)
        && !fault.account_reason()
        && !fault.is_by_own_rule()
}

/// Returns whether a used-up quota comes from the account's balance or plan, and no time is known that brings it back.
fn lacks_money(fault: &Fault) -> bool {
    fault.account_reason() && fault.retry_after().is_none()
}

// === impl RefusalKind ===

impl RefusalKind {
    /// Returns the kind of a fault. `None` if the fault does not concern keys, if it is a limit, which counts the usage
    /// of other requests as well, or if a rule of the operator decided.
    pub(in crate::rotate) fn of(fault: &Fault, status: Option<StatusCode>) -> Option<Self> {
        let is_of_keys = match fault.reason() {
            _ if fault.is_by_own_rule() => false,
            Reason::InvalidKey | Reason::Forbidden => true,
            Reason::QuotaExceeded => status != Some(StatusCode::TOO_MANY_REQUESTS) || lacks_money(fault),
            _ => false,
        };
        let (scope, reason) = (fault.scope(), fault.reason());
        (is_of_keys && !scope.is_provider() && scope != Scope::None).then_some(Self(status, reason, scope))
    }

    /// Returns whether the response has an error status, so that it may be delivered. A refusal that came as an event
    /// of a success has not.
    pub(in crate::rotate) fn is_of_error_status(self) -> bool {
        self.0.is_some_and(|status| !status.is_success())
    }

    pub(in crate::rotate) const fn reason(self) -> Reason {
        self.1
    }
}
