//! Rules that hold for every provider: proxies in front of it, statuses, and the vocabulary that most
//! providers share.
//!
//! The rules are applied in three steps, the most reliable first:
//!
//! 1. A proxy or CDN (Cloudflare, Envoy, nginx) that responded in place of the provider is recognised by the
//!    form of its response. A refused address, overload and failures concern the provider and no key:
//!    rotating keys over the same address cannot help. Its other statuses are classified as in step 3.
//! 2. Error names, and a few phrases, that mean the same at every provider.
//! 3. The status, and names that only restate it. Words decide nothing in this step: the
//!    [meaning](crate::classify::meaning) of the response was considered before.

use crate::classify::error_body::Shape;
use crate::classify::response::UpstreamResponse;
use crate::classify::rules;
use crate::classify::rules::{Rule, fault, reject};
use crate::classify::{Reason, Rejection, Scope, Verdict, Why};

/// Cloudflare's codes for an address or country that is refused
/// (<https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/>).
const REFUSED_ADDRESS: std::ops::RangeInclusive<u64> = 1000..=1099;

/// Rules whose names and phrases mean the same at every provider that uses them.
const SHARED: &[Rule] = &[
    reject(Rejection::ContextLength).named(&[
        "context_length_exceeded",
        "too_many_prompt_tokens",
        "TOO_MANY_TOKENS",
    ]),
    reject(Rejection::ContentFilter).named(&[
        "content_filter",
        "content_policy_violation",
        "moderation_blocked",
        "ResponsibleAIPolicyViolation",
        "invalid_prompt",
        "cyber_policy",
        "bio_policy",
        "data_inspection_failed",
        "DataInspectionFailed",
    ]),
    fault(Reason::Blocked, Scope::Provider).named(&["unsupported_country_region_territory"]),
    // The provider checks this request against the balance: the same account serves a smaller one.
    reject(Rejection::TooLarge).on(&[402]).says(&["can only afford"]),
    // An end user of the caller is blocked.
    reject(Rejection::ContentFilter).on(&[400, 403]).named(&["identifier_blocked", "user_blocked"]),
    // The key lacks a scope of one endpoint, and serves others.
    fault(Reason::Forbidden, Scope::Key)
        .on(&[401, 403])
        .named(&["insufficient_scope", "missing_scope"])
        .of_resource(),
    fault(Reason::Forbidden, Scope::Key)
        .on(&[401, 403])
        .says(&[
            "missing scope",
            "missing_scope",
            "insufficient scope",
            "insufficient_scope",
            "lacks the scope",
            "lacks the required scope",
            "admin api key",
            "admin key",
            "insufficient permissions for this operation",
            "permission is required to access this endpoint",
        ])
        .of_resource(),
    fault(Reason::QuotaExceeded, Scope::Account).named(&[
        "billing_not_active",
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "enforced_spend_limit_reached",
        "billing_error",
        "insufficient_quota",
        "insufficient_balance",
        "exceeded_current_quota_error",
    ]),
    fault(Reason::InvalidKey, Scope::Account).named(&["account_deactivated", "organization_deactivated"]),
    fault(Reason::InvalidKey, Scope::Key).named(&[
        "invalid_api_key",
        "incorrect_api_key_error",
        "API_KEY_INVALID",
    ]),
    fault(Reason::Overloaded, Scope::ProviderModel).named(&[
        "server_is_overloaded",
        "engine_overloaded_error",
        "capacity_exceeded",
        "MODEL_CAPACITY_EXHAUSTED",
    ]),
    fault(Reason::Overloaded, Scope::Provider).named(&["overloaded_error"]),
    reject(Rejection::TooLarge).on(&[413]).named(&["rate_limit_exceeded"]),
];

/// Names that restate the usual status of an error, for a response that came with another status.
const RESTATED: &[Rule] = &[
    fault(Reason::InvalidKey, Scope::Key).named(&["invalid_authentication_error", "authentication_error"]),
    fault(Reason::RateLimited, Scope::AccountModel).named(&["rate_limit_error"]).on(&[400, 429]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[503]).says(&["model", "engine"]),
];

/// Classifies a response by the names that mean the same at every provider.
pub(crate) fn by_name(response: &UpstreamResponse<'_>) -> Option<(Verdict, &'static Rule)> {
    rules::judge(SHARED, response)
}

/// Returns a verdict if a proxy or CDN responded in place of the provider.
pub(crate) fn edge(response: &UpstreamResponse<'_>) -> Option<Verdict> {
    if response.header("cf-mitigated").is_some() {
        return Some(response.fault(Reason::Blocked, Scope::Provider).with_why(Why::Edge));
    }
    let verdict = match response.body.shape() {
        Shape::Json => problem_document(response),
        Shape::Html => Some(page(response)),
        Shape::Text => plain_text(response),
        Shape::Empty => None,
    };
    Some(verdict?.with_why(Why::Edge))
}

/// Classifies Cloudflare's own errors for API clients, which have been JSON problem documents since 2026.
fn problem_document(response: &UpstreamResponse<'_>) -> Option<Verdict> {
    let at = |name: &str| response.body.root().get(name);
    if at("cloudflare_error")?.as_bool() != Some(true) {
        return None;
    }
    let code = at("error_code").and_then(serde_json::Value::as_u64);
    Some(if code.is_some_and(|code| REFUSED_ADDRESS.contains(&code)) {
        response.fault(Reason::Blocked, Scope::Provider)
    } else {
        by_status(response)
    })
}

/// Classifies an HTML page in place of the API's JSON by its status alone.
fn page(response: &UpstreamResponse<'_>) -> Verdict {
    match response.status.as_u16() {
        403 | 451 => response.fault(Reason::Blocked, Scope::Provider),
        429 => response.fault(Reason::RateLimited, Scope::Provider),
        529 => response.fault(Reason::Overloaded, Scope::Provider),
        500.. => response.fault(Reason::ServerError, Scope::Provider),
        _ => by_status(response),
    }
}

/// Classifies Cloudflare's `error code: 1015`, and the plain text that Envoy and nginx send when no upstream
/// is available.
fn plain_text(response: &UpstreamResponse<'_>) -> Option<Verdict> {
    let code =
        response.body.message().trim().strip_prefix("error code:").and_then(|code| code.trim().parse().ok());
    match code {
        Some(code) if REFUSED_ADDRESS.contains(&code) => {
            Some(response.fault(Reason::Blocked, Scope::Provider))
        }
        _ if response.status.is_server_error() && response.status.as_u16() != 529 => {
            Some(response.fault(Reason::ServerError, Scope::Provider))
        }
        _ => None,
    }
}

/// Classifies a response by its status, and by names that only restate one.
pub(crate) fn by_status(response: &UpstreamResponse<'_>) -> Verdict {
    let restated = || rules::judge(RESTATED, response).map(|(verdict, _)| verdict);
    restated().unwrap_or_else(|| by_bare_status(response)).with_why(Why::Status)
}

fn by_bare_status(response: &UpstreamResponse<'_>) -> Verdict {
    let (reason, scope) = match response.status.as_u16() {
        401 => (Reason::InvalidKey, Scope::Key),
        402 => (Reason::QuotaExceeded, Scope::Account),
        403 => (Reason::Forbidden, Scope::KeyModel),
        429 => (Reason::RateLimited, Scope::AccountModel),
        451 => (Reason::Blocked, Scope::Provider),
        529 => (Reason::Overloaded, Scope::Provider),
        503 if response.body.shape() == Shape::Json => (Reason::Overloaded, Scope::Provider),
        408 | 499 => (Reason::ServerError, Scope::Provider),
        501 | 505 => return Verdict::Rejected(Rejection::Invalid),
        500.. => (Reason::ServerError, Scope::Provider),
        status if is_unusual(status) => return Verdict::Rejected(Rejection::Unclear),
        _ => return Verdict::Rejected(Rejection::Invalid),
    };
    response.fault(reason, scope)
}

/// Returns whether a 4xx has no meaning that lies in the request.
const fn is_unusual(status: u16) -> bool {
    matches!(status, 407 | 418..=420 | 423..=425 | 427 | 430 | 432..=450 | 452..=498)
}
