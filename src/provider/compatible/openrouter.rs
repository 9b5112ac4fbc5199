//! OpenRouter: one account in front of many providers.
//!
//! An error concerns either the account (credits, the daily count of free models, the cap of a key) or the
//! upstream provider, and then no key is at fault. Since 2026 `metadata.limit_source` tells which; before,
//! the presence of an upstream provider's name did.
//!
//! The status inside the body is that of the error. The status of the response is 200 once a model has
//! started (<https://openrouter.ai/docs/api/reference/errors>).

use crate::classify::response::UpstreamResponse;
use crate::classify::rules::{Rule, fault, reject};
use crate::classify::{Reason, Rejection, Scope, Verdict};
use crate::provider::dialect::{COMMON, Dialect};

pub(super) static DIALECT: Dialect =
    Dialect { rules: RULES, judge: upstream, errors_in_ok_bodies: true, ..COMMON };

const RULES: &[Rule] = &[
    // OpenRouter checks `max_tokens` or the length of the prompt against the balance: the same account serves
    // a smaller request.
    reject(Rejection::TooLarge).on(&[402]).says(&["can only afford", "fewer max_tokens", "fewer tokens"]),
    fault(Reason::QuotaExceeded, Scope::Account).named(&["openrouter_credits", "openrouter_free_tier_daily"]),
    fault(Reason::Overloaded, Scope::ProviderModel).named(&["upstream_provider_shared_pool"]),
    fault(Reason::RateLimited, Scope::Account).named(&["openrouter_in_flight_budget"]),
    fault(Reason::QuotaExceeded, Scope::Key)
        .on(&[402, 403, 429])
        .says(&["key limit exceeded", "key limit reached"]),
    fault(Reason::QuotaExceeded, Scope::Account).on(&[402]),
    fault(Reason::QuotaExceeded, Scope::Account).on(&[429]).says(&["per-day", "per day", "daily"]),
    reject(Rejection::ContentFilter).on(&[403]).says(&["moderation", "flagged"]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[429]).says(&["upstream"]),
    fault(Reason::RateLimited, Scope::Account).on(&[429]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[503]),
];

/// Classifies an error of the upstream provider.
fn upstream(response: &mut UpstreamResponse<'_>) -> Option<Verdict> {
    let metadata =
        response.body.at("/error/metadata").or_else(|| response.body.at("/choices/0/error/metadata"))?;
    let named = metadata.get("provider_name").is_some_and(serde_json::Value::is_string);
    if metadata.get("limit_source").is_some() || metadata.get("flagged_input").is_some() || !named {
        return None;
    }
    let (reason, scope) = match response.status.as_u16() {
        402 | 429 | 503 | 529 => (Reason::Overloaded, Scope::ProviderModel),
        401 | 403 | 500.. => (Reason::ServerError, Scope::ProviderModel),
        _ => return Some(Verdict::Rejected(Rejection::Invalid)),
    };
    Some(response.fault(reason, scope))
}
