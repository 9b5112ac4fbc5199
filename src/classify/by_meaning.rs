//! Classification by the [meaning](crate::classify::meaning) of a response, where no rule knows it.

use crate::classify::meaning::{LONGEST_RATE_LIMIT, Meaning, weigh};
use crate::classify::response::UpstreamResponse;
use crate::classify::{Reason, Scope, Verdict, Why};

/// Classifies a response by its meaning. `by_status` is the verdict of its status, whose scope applies if the
/// response names none.
pub(crate) fn judge(response: &UpstreamResponse<'_>, by_status: impl FnOnce() -> Verdict) -> Option<Verdict> {
    let (reason, scope, why, of_account) =
        match weigh(response.status, response.reading(), response.stated_wait())? {
            Meaning::Rejected(rejection) => return Some(Verdict::Rejected(rejection)),
            Meaning::Fault { reason, scope, why, of_account } => (reason, scope, why, of_account),
        };
    let usual = || match by_status() {
        Verdict::Fault(fault) if fault.reason() == reason => fault.scope(),
        _ => usual_scope(reason),
    };
    let fault = response.said(reason, scope.unwrap_or_else(usual));
    Some(fault.with_account_reason(of_account).with_why(why).into())
}

const fn usual_scope(reason: Reason) -> Scope {
    match reason {
        Reason::RateLimited | Reason::QuotaExceeded => Scope::AccountModel,
        Reason::Forbidden => Scope::KeyModel,
        Reason::InvalidKey => Scope::Key,
        _ => Scope::Provider,
    }
}

/// Corrects the reason of a rate limit by the stated wait: an hour or more means a used-up quota, for every
/// provider.
pub(crate) fn by_wait(verdict: Verdict, response: &UpstreamResponse<'_>) -> Verdict {
    match verdict {
        Verdict::Fault(fault)
            if fault.reason() == Reason::RateLimited
                && !fault.scope().is_provider()
                && response.stated_wait().is_some_and(|wait| wait >= LONGEST_RATE_LIMIT) =>
        {
            fault.with_reason(Reason::QuotaExceeded).with_account_reason(true).with_why(Why::Wait).into()
        }
        other => other,
    }
}
